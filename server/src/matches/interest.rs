//! Interest: which entities the clients of a match get.
//!
//! A *scene* is the match as some of its clients see it, with the rows of the last ticks and the
//! encodings of this one. One has all entities: spectators see it, and the players of a game that
//! hides nothing. A game's [`Viewer`] has a scene of its own, whose rows are those that it sees.

use tickwire_shared::{
    game::Game,
    history::History,
    ids::{Seat, Tick, Viewer},
    misfit::check_viewer,
};

use super::{Match, fail_for, fanout::Bodies};

/// The scene with all entities.
pub(super) const ALL: usize = 0;

/// See the module.
#[derive(Default)]
pub(super) struct Scene {
    pub(super) history: History,
    pub(super) bodies: Bodies,
}

impl Scene {
    /// A scene for clients that see the match live or this many ticks late.
    pub(super) fn keeping(late_by: u32) -> Self {
        Self { history: History::keeping(late_by as usize), ..Self::default() }
    }
}

/// Which scene a client sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) scene: usize,
    /// If it saw another before: its rows of earlier ticks than this are of that.
    pub(super) since: Option<Tick>,
}

impl Sight {
    /// Until the first tick.
    pub(super) const INITIAL: Self = Self { scene: ALL, since: None };

    /// Whether the rows that the client has of this tick are of the scene.
    pub(super) fn includes(self, tick: Tick) -> bool {
        self.since.is_none_or(|since| tick.since(since) >= 0)
    }
}

impl<G: Game> Match<G> {
    /// Finds out which scene the player of a connection sees in this tick, and writes its rows if
    /// this is the first one who does.
    pub(super) fn update_sight(&mut self, key: usize, seat: Seat) {
        let viewer = self.game.viewer(seat);
        let scene = viewer.map_or(ALL, |viewer| 1 + usize::from(viewer.0));
        let connection = &mut self.connections[key];
        if scene != connection.sight.scene {
            connection.sight = Sight { scene, since: Some(self.tick) };
            connection.link.start_over();
        }
        if let Some(viewer) = viewer {
            check_viewer(seat, viewer, self.options.seats)
                .unwrap_or_else(|misfit| fail_for(&misfit));
            self.write_scene(scene, viewer);
        }
    }

    fn write_scene(&mut self, scene: usize, viewer: Viewer) {
        if scene >= self.scenes.len() {
            self.scenes.resize_with(scene + 1, Scene::default);
        }
        let [all, .., seen] = &mut self.scenes[..=scene] else { unreachable!("it is not `ALL`") };
        if seen.history.rows(self.tick).is_none() {
            let all = all.history.rows(self.tick).expect("the tick's rows are written first");
            let rows = seen.history.push(self.tick);
            for row in all.iter().filter(|&row| self.game.sees(viewer, row)) {
                rows.push(row.id, row.kind, row.values);
            }
        }
    }
}
