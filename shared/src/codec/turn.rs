//! Unit quaternions by their smallest three components: the index of the largest, and the other
//! three as integers.
//!
//! Only `+ - * /`, `floor` and `sqrt` on doubles are used, so that all languages get the same
//! results.

/// A rotation: x, y, z, w.
pub(crate) type Quaternion = [f64; 4];

/// The quaternion that four values stand for; a value of 1 is a component of `per_step`.
#[inline]
pub(crate) fn unpack(
    largest: i32,
    components: &[impl Into<f64> + Copy],
    per_step: f64,
) -> Quaternion {
    let mut quaternion = [0.0; 4];
    let mut rest = 1.0;
    for (&component, i) in components.iter().zip(others(largest)) {
        let value = component.into() * per_step;
        quaternion[i] = value;
        rest -= value * value;
    }
    quaternion[largest as usize & 3] = if rest > 0.0 { rest.sqrt() } else { 0.0 };
    quaternion
}

/// The indices of the components that are not the largest.
#[inline]
pub(crate) fn others(largest: i32) -> [usize; 3] {
    const OTHERS: [[usize; 3]; 4] = [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]];
    OTHERS[largest as usize % OTHERS.len()]
}

/// The index of the largest component, and by how much it is larger than the next.
#[inline]
pub(super) fn largest(quaternion: &Quaternion) -> (i32, f64) {
    let (mut place, mut first, mut second) = (0, -1.0, -1.0);
    for (i, component) in quaternion.iter().enumerate() {
        let size = component.abs();
        // Which is the largest is hard to predict: selections instead of branches.
        let is_larger = size > first;
        let other = if is_larger { first } else { size };
        place = if is_larger { i as i32 } else { place };
        first = if is_larger { size } else { first };
        second = if other > second { other } else { second };
    }
    (place, first - second)
}

/// A quaternion, turned about the world's axes by twice the angles in `half`.
#[inline]
pub(super) fn turned(quaternion: &Quaternion, half: [f64; 3]) -> Quaternion {
    let square = half[0] * half[0] + half[1] * half[1] + half[2] * half[2];
    // The tangent of the half angle, over the half angle.
    let stretch = 1.0 + square * (1.0 / 3.0 + square * (2.0 / 15.0));
    let [x, y, z] = scaled(half, stretch);
    let [qx, qy, qz, qw] = *quaternion;
    let turned = [
        qx + x * qw + y * qz - z * qy,
        qy - x * qz + y * qw + z * qx,
        qz + x * qy - y * qx + z * qw,
        qw - x * qx - y * qy - z * qz,
    ];
    let [x, y, z, w] = turned;
    let length = (x * x + y * y + z * z + w * w).sqrt();
    if length > 0.0 {
        let shrink = 1.0 / length;
        [x * shrink, y * shrink, z * shrink, w * shrink]
    } else {
        *quaternion
    }
}

/// The quaternion that is this `part` of the shorter way from one to the other.
pub(crate) fn between(from: &Quaternion, to: &Quaternion, part: f64) -> Quaternion {
    let dot: f64 = from.iter().zip(to).map(|(a, b)| a * b).sum();
    // Both signs are the same rotation.
    let sign = if dot < 0.0 { -1.0 } else { 1.0 };
    let mut between = [0, 1, 2, 3].map(|i| from[i] + (to[i] * sign - from[i]) * part);
    let length = between.iter().map(|component| component * component).sum::<f64>().sqrt();
    between.iter_mut().for_each(|component| *component /= length);
    between
}

/// A vector times a number.
#[inline]
pub(super) fn scaled([x, y, z]: [f64; 3], factor: f64) -> [f64; 3] {
    [x * factor, y * factor, z * factor]
}

/// Half the angles, about the world's axes, that turn `from` into `to`.
#[inline]
pub(super) fn half_angles(from: &Quaternion, to: &Quaternion) -> [f64; 3] {
    let [fx, fy, fz, fw] = *from;
    let [tx, ty, tz, tw] = *to;
    let parts = [
        tx * fw - tw * fx - ty * fz + tz * fy,
        ty * fw - tw * fy - tz * fx + tx * fz,
        tz * fw - tw * fz - tx * fy + ty * fx,
    ];
    // A quaternion and its negative are the same rotation.
    let sign = if tw * fw + tx * fx + ty * fy + tz * fz < 0.0 { -1.0 } else { 1.0 };
    let square = parts[0] * parts[0] + parts[1] * parts[1] + parts[2] * parts[2];
    // The arcsine of their length, over the length.
    let stretch = sign * (1.0 + square * (1.0 / 6.0 + square * (3.0 / 40.0)));
    scaled(parts, stretch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_angles_lead_from_one_to_the_other() {
        let from = unpack(3, &[40, -90, 12], 1.0 / 360.0);
        let half = [0.05, -0.1, 0.2];
        let to = turned(&from, half);
        let back = half_angles(&from, &to);
        let negative = half_angles(&from, &to.map(|part| -part));
        for i in 0..3 {
            assert!((back[i] - half[i]).abs() < 1e-4, "{back:?}");
            assert!((negative[i] - half[i]).abs() < 1e-4, "{negative:?}");
        }
    }

    #[test]
    fn a_quarter_turn_about_z_turns_x_into_y() {
        let half = std::f64::consts::FRAC_PI_4 / 8.0;
        let mut turn = [0.0, 0.0, 0.0, 1.0];
        for _ in 0..8 {
            turn = turned(&turn, [0.0, 0.0, half]);
        }
        assert!((turn[2] - std::f64::consts::FRAC_1_SQRT_2).abs() < 1e-6, "{turn:?}");
        assert_eq!(largest(&[0.1, -0.8, 0.3, 0.5]).0, 1);
    }
}
