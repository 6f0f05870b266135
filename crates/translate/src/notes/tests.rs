//! The slice of codes.

use super::CODES;

#[test]
fn codes_ascend_and_are_never_used_twice() {
    for pair in CODES.windows(2) {
        assert!(
            pair[0].id < pair[1].id,
            "{} stands before {}",
            pair[0].id,
            pair[1].id
        );
    }
}

#[test]
fn codes_belong_to_a_family_and_say_what_to_do() {
    for code in CODES {
        let number = code
            .id
            .strip_prefix("WA")
            .and_then(|it| it.parse::<u16>().ok());
        assert!(
            number.is_some_and(|it| (100..800).contains(&it)),
            "{} is of no family WA1xx to WA7xx",
            code.id
        );
        assert!(
            !code.subject.is_empty() && !code.cure.is_empty(),
            "{} has its texts",
            code.id
        );
        assert!(
            !code.cure.ends_with('.'),
            "{}: the cure is a phrase",
            code.id
        );
    }
}
