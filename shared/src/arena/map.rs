//! The arena's floor plan, which both ends know: 40 by 30 metres, walls, spawns and pickups.
//!
//! There are two kinds of collision test. [`Map::slide`] moves a body, in integers, because clients
//! predict it. [`Map::reach`] finds how far a straight line gets, in floats, for shots and computer
//! players.

use arrayvec::ArrayVec;
use glam::{IVec2, Vec2};

use super::{
    body::{Body, RADIUS},
    units::cm,
};

/// A floor plan. All lengths in position steps.
#[derive(Debug)]
pub struct Map {
    /// The corner opposite to (0, 0).
    pub size: IVec2,
    /// Boxes that stop bodies and shots.
    pub walls: &'static [Wall],
    /// Where players appear.
    pub spawns: &'static [IVec2],
    /// What the pickups hold, and where they are.
    pub pickups: &'static [(Stock, IVec2)],
}

/// A box, its sides along the axes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Wall {
    /// The corner with the least coordinates.
    pub min: IVec2,
    /// The corner opposite to it.
    pub max: IVec2,
}

/// What a pickup holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stock {
    /// Ammunition of the gun.
    Bullets,
    /// Ammunition of the rocket launcher.
    Rockets,
    /// Health of the player.
    Health,
}

impl Stock {
    /// Its value in rows and events.
    #[must_use]
    pub const fn value(self) -> i32 {
        match self {
            Self::Bullets => 0,
            Self::Rockets => 1,
            Self::Health => 2,
        }
    }

    /// The reverse of [`Stock::value`].
    #[must_use]
    pub const fn from_value(value: i32) -> Option<Self> {
        match value {
            0 => Some(Self::Bullets),
            1 => Some(Self::Rockets),
            2 => Some(Self::Health),
            _ => None,
        }
    }
}

/// Longest distance per axis that a body is moved between two collision tests: short enough that
/// its centre can't get into a wall.
const STRIDE: i32 = RADIUS / 2;
/// How far from its straight way a body can get: two walls push it out, each by a radius.
const ASIDE: i32 = 2 * RADIUS;
/// Most walls of a map.
const WALLS_MAX: usize = 16;

impl Map {
    /// Moves a body by `travel`. It slides along walls in its way, and never enters one; its
    /// velocity towards a wall is lost.
    pub fn slide(&self, body: &mut Body, travel: IVec2) {
        let near = self.walls_near(body.position, body.position + travel);
        let pieces = travel.abs().max_element() / STRIDE + 1;
        for piece in 0..pieces {
            let before = body.position;
            body.position += travel * (piece + 1) / pieces - travel * piece / pieces;
            self.stay_inside(body);
            if near.iter().all(|wall| wall.is_clear_of(body.position)) {
                continue;
            }
            // Twice, because the way out of one wall may lead into its neighbour.
            for wall in near.iter().chain(&near) {
                wall.push_out(body);
            }
            if !self.has_room(body.position) {
                *body = Body { position: before, velocity: IVec2::ZERO };
                return;
            }
        }
    }

    /// Whether a body at this position overlaps no wall.
    #[must_use]
    pub fn has_room(&self, position: IVec2) -> bool {
        let inside =
            position.cmpge(IVec2::splat(RADIUS)).all() && position.cmple(self.size - RADIUS).all();
        inside && self.walls.iter().all(|wall| wall.is_clear_of(position))
    }

    /// The walls that a body may touch on its way: seldom more than one.
    fn walls_near(&self, from: IVec2, to: IVec2) -> ArrayVec<Wall, WALLS_MAX> {
        let (least, most) = (from.min(to) - ASIDE - RADIUS, from.max(to) + ASIDE + RADIUS);
        let is_near = |wall: &&Wall| wall.min.cmple(most).all() && wall.max.cmpge(least).all();
        self.walls.iter().filter(is_near).copied().collect()
    }

    /// How far an object with this radius can go from `from` towards `to` before it meets a wall,
    /// as a part of the distance, from 0 to 1. (Walls' corners are not rounded for this.)
    #[must_use]
    pub fn reach(&self, from: Vec2, to: Vec2, radius: f32) -> f32 {
        let way = to - from;
        let (least, most) = (from.min(to), from.max(to));
        let mut reach = leave(from, way, Vec2::splat(radius), self.size.as_vec2() - radius);
        for wall in self.walls {
            let (min, max) = (wall.min.as_vec2() - radius, wall.max.as_vec2() + radius);
            // Most walls are far from the line, which is cheaper to see than to compute.
            if most.cmpgt(min).all() && least.cmplt(max).all() {
                reach = reach.min(enter(from, way, min, max));
            }
        }
        reach
    }

    /// Whether the straight line from `from` to `to` meets no wall.
    #[must_use]
    pub fn sees(&self, from: Vec2, to: Vec2) -> bool {
        self.reach(from, to, 0.0) >= 1.0
    }

    fn stay_inside(&self, body: &mut Body) {
        let inside = body.position.clamp(IVec2::splat(RADIUS), self.size - RADIUS);
        if inside.x != body.position.x {
            body.velocity.x = 0;
        }
        if inside.y != body.position.y {
            body.velocity.y = 0;
        }
        body.position = inside;
    }
}

impl Wall {
    /// The vector from the wall's nearest point to `position`; zero inside the wall.
    fn gap(&self, position: IVec2) -> IVec2 {
        position - position.clamp(self.min, self.max)
    }

    /// Whether a body at this position does not overlap the wall.
    fn is_clear_of(&self, position: IVec2) -> bool {
        self.gap(position).length_squared() >= RADIUS * RADIUS
    }

    /// Moves a body that overlaps the wall out of it, by the shortest way. A body whose centre is
    /// in the wall stays where it is.
    fn push_out(&self, body: &mut Body) {
        let gap = self.gap(body.position);
        let square = gap.length_squared();
        if square == 0 || square >= RADIUS * RADIUS {
            return;
        }
        let length = square.isqrt();
        // Rounded away from the wall: otherwise the body could still overlap it.
        let away =
            |part: i32| part.signum() * (part.abs() * RADIUS + length - 1).div_euclid(length);
        body.position += IVec2::new(away(gap.x), away(gap.y)) - gap;
        let outward = body.velocity.dot(gap);
        if outward < 0 {
            body.velocity -= gap * outward / square;
        }
    }
}

/// The part of `way` before a point that starts at `from` enters the box; 1 if it doesn't.
fn enter(from: Vec2, way: Vec2, min: Vec2, max: Vec2) -> f32 {
    let (mut first, mut last) = (0.0_f32, 1.0_f32);
    for axis in 0..2 {
        let (from, way, min, max) = (from[axis], way[axis], min[axis], max[axis]);
        if way == 0.0 {
            if from <= min || from >= max {
                return 1.0;
            }
            continue;
        }
        let (a, b) = ((min - from) / way, (max - from) / way);
        first = first.max(a.min(b));
        last = last.min(a.max(b));
    }
    if first < last { first } else { 1.0 }
}

/// The part of `way` before a point that starts at `from` leaves the box; 1 if it doesn't.
fn leave(from: Vec2, way: Vec2, min: Vec2, max: Vec2) -> f32 {
    let mut reach = 1.0_f32;
    for axis in 0..2 {
        let (from, way, min, max) = (from[axis], way[axis], min[axis], max[axis]);
        if from + way > max {
            reach = reach.min((max - from) / way);
        } else if from + way < min {
            reach = reach.min((min - from) / way);
        }
    }
    reach.max(0.0)
}

/// A box given by its corners in centimetres.
const fn wall(left: i32, top: i32, right: i32, bottom: i32) -> Wall {
    Wall { min: at(left, top), max: at(right, bottom) }
}

/// A place given in centimetres.
const fn at(x: i32, y: i32) -> IVec2 {
    IVec2::new(cm(x), cm(y))
}

/// The arena's map. It has a rotational symmetry of half a turn.
pub static ARENA: Map = Map {
    size: at(4000, 3000),
    walls: &[
        wall(1850, 1350, 2150, 1650),
        wall(1900, 300, 2100, 700),
        wall(1900, 2300, 2100, 2700),
        wall(800, 700, 1400, 800),
        wall(2600, 700, 3200, 800),
        wall(800, 2200, 1400, 2300),
        wall(2600, 2200, 3200, 2300),
        wall(800, 1200, 900, 1800),
        wall(3100, 1200, 3200, 1800),
        wall(1300, 1400, 1450, 1600),
        wall(2550, 1400, 2700, 1600),
        wall(350, 350, 500, 500),
        wall(3500, 350, 3650, 500),
        wall(350, 2500, 500, 2650),
        wall(3500, 2500, 3650, 2650),
    ],
    spawns: &[
        at(150, 150),
        at(3850, 2850),
        at(3850, 150),
        at(150, 2850),
        at(2000, 150),
        at(2000, 2850),
        at(150, 1500),
        at(3850, 1500),
        at(1100, 550),
        at(2900, 2450),
        at(2900, 550),
        at(1100, 2450),
        at(1100, 1000),
        at(2900, 2000),
        at(2900, 1000),
        at(1100, 2000),
    ],
    pickups: &[
        (Stock::Rockets, at(2000, 1200)),
        (Stock::Rockets, at(2000, 1800)),
        (Stock::Health, at(1650, 1500)),
        (Stock::Health, at(2350, 1500)),
        (Stock::Health, at(425, 200)),
        (Stock::Health, at(3575, 2800)),
        (Stock::Bullets, at(1100, 1500)),
        (Stock::Bullets, at(2900, 1500)),
        (Stock::Bullets, at(1650, 500)),
        (Stock::Bullets, at(2350, 2500)),
        (Stock::Bullets, at(3575, 200)),
        (Stock::Bullets, at(425, 2800)),
    ],
};
