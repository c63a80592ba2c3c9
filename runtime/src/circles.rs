//! Encoder angles as phases (2^32 is one turn) and their circles in integers.

use crate::circuit::QUBITS;

/// The phase of an angle in radians; the error is that of an `f32` division by a turn.
pub fn phase(angle_rad: f32) -> u32 {
    let turns = angle_rad * (0.5 * core::f32::consts::FRAC_1_PI);
    // The whole turns go first, so that what is left keeps its bits.
    let rest = turns - (turns as i32) as f32;
    ((rest * 4_294_967_296.0) as i64) as u32
}

/// The phases of angles in radians.
pub fn phases(angles_rad: &[f32; QUBITS]) -> [u32; QUBITS] {
    angles_rad.map(phase)
}

/// (sine, cosine) of a phase in Q30.
pub fn sin_cos(phase: u32) -> (i32, i32) {
    let quarters = phase.wrapping_add(1 << 29) >> 30;
    // Radians in Q30, between -pi/4 and pi/4.
    let rest = i64::from(phase.wrapping_sub(quarters << 30) as i32);
    let r = (rest * 1_686_629_713) >> 30;
    let z = (r * r) >> 30;
    let term = |sum: i64, one_over: i64| (1 << 30) - ((sum * z) >> 30) / one_over;
    let sin = (term(term(term(term(1 << 30, 72), 42), 20), 6) * r) >> 30;
    let cos = term(term(term(term(term(1 << 30, 90), 56), 30), 12), 2);
    let (sin, cos) = (sin as i32, cos as i32);
    match quarters {
        0 => (sin, cos),
        1 => (cos, -sin),
        2 => (-sin, -cos),
        _ => (-cos, sin),
    }
}
