//! The arena's input: one player's command for one tick.

use glam::IVec2;
use serde::{Deserialize, Serialize};

use super::units::ANGLES;
use crate::{game::Input, schema::Schema};

/// Movement, aim and triggers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct ArenaInput {
    /// The stick, each axis from -[`MOVE_MAX`] to [`MOVE_MAX`]. A position outside the circle of
    /// this radius counts as on the circle.
    pub movement: IVec2,
    /// Where the weapon points, in [`ANGLES`] to a turn.
    pub aim: i32,
    /// Fire the first weapon.
    pub fire: bool,
    /// Fire the rocket launcher.
    pub alt_fire: bool,
}

/// The stick's full deflection.
pub const MOVE_MAX: i32 = 127;
/// Bit of `buttons` for the first weapon.
pub const FIRE: i32 = 1;
/// Bit of `buttons` for the rocket launcher.
pub const ALT_FIRE: i32 = 2;

impl Input for ArenaInput {
    fn from_values(values: &[i32]) -> Self {
        let &[x, y, aim, buttons] = values else { return Self::default() };
        Self {
            movement: IVec2::new(x, y),
            aim,
            fire: buttons & FIRE != 0,
            alt_fire: buttons & ALT_FIRE != 0,
        }
    }

    fn write_values(&self, values: &mut [i32]) {
        let fire = if self.fire { FIRE } else { 0 };
        let alt_fire = if self.alt_fire { ALT_FIRE } else { 0 };
        values.copy_from_slice(&[self.movement.x, self.movement.y, self.aim, fire | alt_fire]);
    }
}

/// Adds the integers of an input to the schema, in the order of [`Input::from_values`].
pub(super) fn describe(schema: Schema) -> Schema {
    schema
        .input("move_x", -MOVE_MAX, MOVE_MAX)
        .input("move_y", -MOVE_MAX, MOVE_MAX)
        .input("aim", 0, ANGLES - 1)
        .input("buttons", 0, FIRE | ALT_FIRE)
}
