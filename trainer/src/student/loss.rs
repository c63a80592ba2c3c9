//! The distillation loss of arXiv 2505.13205 and its gradient by the student's logits.
//!
//! With a label and a teacher: `(1-a) CE + a T^2 KL(teacher/T || student/T) + a JS(teacher, student)`.
//! With a label alone: `CE`. With a teacher alone: `T^2 KL + JS`, the same weight as a label has.

use crate::numeric::softmax;
use crate::options::TrainingConfig;

/// The loss of one sample; its gradient by each student logit is added to `slope`.
///
/// `label` and `teacher` (logits) may each be absent; with neither the loss is 0.
pub fn loss(
    student: &[f32],
    label: Option<usize>,
    teacher: Option<&[f32]>,
    settings: &TrainingConfig,
    slope: &mut [f32],
) -> f32 {
    let share = match (label, teacher) {
        (Some(_), Some(_)) => settings.alpha,
        (None, Some(_)) => 1.0,
        _ => 0.0,
    };
    let q = softmax(student, 1.0);
    let mut total = 0.0;
    if let Some(label) = label {
        let even = settings.smoothing / student.len() as f32;
        for (i, &qi) in q.iter().enumerate() {
            let target = even + if i == label { 1.0 - settings.smoothing } else { 0.0 };
            total -= (1.0 - share) * target * qi.max(f32::MIN_POSITIVE).ln();
            slope[i] += (1.0 - share) * (qi - target);
        }
    }
    if let Some(teacher) = teacher.filter(|_| share > 0.0) {
        let t = settings.temperature;
        let (soft_q, soft_p) = (softmax(student, t), softmax(teacher, t));
        let p = softmax(teacher, 1.0);
        let mean = |i: usize| 0.5 * (p[i] + q[i]);
        // ln(a / b) that is 0 where the weight before it vanishes.
        let log_ratio = |a: f32, b: f32| {
            if a > 0.0 { (a / b.max(f32::MIN_POSITIVE)).ln() } else { 0.0 }
        };
        let lean: f32 = (0..q.len()).map(|i| q[i] * log_ratio(q[i], mean(i))).sum();
        for i in 0..q.len() {
            let kl = t * t * soft_p[i] * log_ratio(soft_p[i], soft_q[i]);
            let from_p = p[i] * log_ratio(p[i], mean(i));
            let from_q = q[i] * log_ratio(q[i], mean(i));
            total += share * (kl + 0.5 * (from_p + from_q));
            let kl_slope = t * (soft_q[i] - soft_p[i]);
            let js_slope = 0.5 * q[i] * (log_ratio(q[i], mean(i)) - lean);
            slope[i] += share * (kl_slope + js_slope);
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> TrainingConfig {
        TrainingConfig { alpha: 0.4, temperature: 2.0, smoothing: 0.1, ..TrainingConfig::default() }
    }

    #[test]
    fn gradient_is_the_finite_difference() {
        let student = [0.3, -1.2, 0.8, 0.1];
        let teacher = [1.5, -0.7, 0.2, -2.0];
        for (label, soft) in
            [(Some(2), None), (None, Some(&teacher[..])), (Some(1), Some(&teacher[..]))]
        {
            let value = |z: &[f32]| loss(z, label, soft, &settings(), &mut [0.0; 4]);
            let mut slope = [0.0; 4];
            loss(&student, label, soft, &settings(), &mut slope);
            for i in 0..4 {
                let moved = |by: f32| {
                    let mut z = student;
                    z[i] += by;
                    value(&z)
                };
                let difference = (moved(1e-2) - moved(-1e-2)) / 2e-2;
                assert!((slope[i] - difference).abs() < 1e-3, "{i}: {} {difference}", slope[i]);
            }
        }
    }

    #[test]
    fn a_student_that_equals_its_teacher_has_no_soft_loss() {
        let z = [2.0, -1.0, 0.5];
        let mut slope = [0.0; 3];
        let value = loss(&z, None, Some(&z), &settings(), &mut slope);
        assert!(value.abs() < 1e-6 && slope.iter().all(|s| s.abs() < 1e-6));
    }

    #[test]
    fn extreme_logits_stay_finite() {
        let mut slope = [0.0; 2];
        let value =
            loss(&[500.0, -500.0], Some(1), Some(&[-300.0, 300.0]), &settings(), &mut slope);
        assert!(value.is_finite() && slope.iter().all(|s| s.is_finite()));
    }
}
