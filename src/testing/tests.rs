//! The comparisons themselves: what they must not let pass.

use super::*;

const EXACT: fn() -> Tolerance = || Tolerance::absolute(0.5, "an example");

#[test]
fn what_is_not_finite_fails_on_either_side() {
    for bad in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for (found, expected) in [([1.0, bad], [1.0, 2.0]), ([1.0, 2.0], [1.0, bad]), ([1.0, bad], [1.0, bad])] {
            assert!(compare(&found, &expected, EXACT()).unwrap_err().contains("at index 1"), "{bad}");
        }
        assert!(std::panic::catch_unwind(|| distance(&[bad], &[1.0])).is_err(), "{bad}");
        assert!(std::panic::catch_unwind(|| largest([1.0, bad, 2.0])).is_err(), "{bad}");
    }
}

#[test]
fn other_shapes_and_nothing_at_all_fail() {
    assert!(compare(&[1.0], &[1.0, 1.0], EXACT()).unwrap_err().contains("[1], not [2]"));
    assert!(compare(&[0.0f64; 0], &[0.0f64; 0], EXACT()).unwrap_err().contains("no numbers"));
    assert!(compare(&[0.0], &[0.0], Tolerance::of_largest(1.0, "")).unwrap_err().contains("are 0"));
}

#[test]
fn a_failure_names_the_place_both_values_and_the_reason() {
    let expected = [1.0, 2.0, 100.0];
    let error = compare(&[1.0, 3.0, 100.0], &expected, EXACT()).unwrap_err();
    assert_eq!(error, "at index 1: 3e0, not 2e0: |Δ| is 1.00e0, and at most 5.00e-1 (an example)");
    assert_eq!(compare(&[1.5, 1.5, 100.5], &expected, EXACT()), Ok(()));
    assert_eq!(compare(&[1.5, 1.5, 101.0], &expected, Tolerance::of_largest(0.01, "")), Ok(()));
    let error = compare(&[1.5, 2.0, 101.0], &expected, Tolerance::of_each(0.01, "")).unwrap_err();
    assert!(error.starts_with("at index 0"), "{error}");
    assert_eq!(distance(&[1.0f32, 3.0, 98.0], &expected), 2.0);
}
