//! Path finding: the shortest path between two places leads along walls' corners.

use std::sync::LazyLock;

use glam::{IVec2, Vec2};

use crate::arena::{
    body::RADIUS,
    map::{ARENA, Map},
    units::cm,
};

/// Paths through the arena's map.
pub(super) static PATHS: LazyLock<Paths> = LazyLock::new(|| Paths::new(&ARENA));

/// Distance at which paths go around a wall's corner.
const MARGIN: i32 = RADIUS + cm(25);

/// The corners of a map, and the distances between them.
#[derive(Debug)]
pub(super) struct Paths {
    corners: Vec<Vec2>,
    /// Row by row; infinite where there is no path.
    distances: Vec<f32>,
}

impl Paths {
    fn new(map: &Map) -> Self {
        let around = |wall: &crate::arena::map::Wall| {
            let (min, max) = (wall.min - MARGIN, wall.max + MARGIN);
            [min, max, IVec2::new(min.x, max.y), IVec2::new(max.x, min.y)]
        };
        let corners = map.walls.iter().flat_map(around);
        let corners: Vec<_> =
            corners.filter(|&corner| map.has_room(corner)).map(|corner| corner.as_vec2()).collect();
        let mut distances = Vec::with_capacity(corners.len() * corners.len());
        for &from in &corners {
            distances.extend(corners.iter().map(|&to| straight(map, from, to)));
        }
        let mut paths = Self { corners, distances };
        paths.shorten();
        paths
    }

    /// The first straight part's end on the path from one place to another.
    pub(super) fn next(&self, from: Vec2, to: Vec2) -> Vec2 {
        if straight(&ARENA, from, to).is_finite() {
            return to;
        }
        let mut best = (to, f32::INFINITY);
        let Some(last) = self.nearest_corner(to) else { return to };
        for (index, &corner) in self.corners.iter().enumerate() {
            let rest = self.distance(index, last);
            let least = from.distance(corner) + rest;
            if least < best.1 && straight(&ARENA, from, corner).is_finite() {
                best = (corner, least);
            }
        }
        best.0
    }

    fn nearest_corner(&self, place: Vec2) -> Option<usize> {
        let distance = |&index: &usize| straight(&ARENA, place, self.corners[index]);
        (0..self.corners.len()).min_by(|a, b| distance(a).total_cmp(&distance(b)))
    }

    fn distance(&self, from: usize, to: usize) -> f32 {
        self.distances[from * self.corners.len() + to]
    }

    /// Floyd–Warshall: each corner in turn is allowed as a stop between two others.
    fn shorten(&mut self) {
        let count = self.corners.len();
        for stop in 0..count {
            for from in 0..count {
                for to in 0..count {
                    let detour = self.distance(from, stop) + self.distance(stop, to);
                    let distance = &mut self.distances[from * count + to];
                    *distance = distance.min(detour);
                }
            }
        }
    }
}

/// The distance between two places if a body can go straight; otherwise infinite.
fn straight(map: &Map, from: Vec2, to: Vec2) -> f32 {
    let free = map.reach(from, to, RADIUS as f32) >= 1.0;
    if free { from.distance(to) } else { f32::INFINITY }
}
