//! Lists of names.

use super::AllowList;

#[test]
fn lists() {
    let of = |names: &[&str]| AllowList::new(names.iter().copied());
    assert_eq!(of(&[]), Ok(AllowList::Safelisted));
    assert_eq!(of(&["*"]), Ok(AllowList::Any));
    assert_eq!(
        of(&["GET", "*"]),
        Ok(AllowList::Any),
        "a star among others is still everything"
    );
    assert_eq!(of(&["GET", "PUT"]).unwrap().to_string(), "GET, PUT");
    for bad in ["", "a b", "a,b", "a\nb", "\u{e9}"] {
        assert!(of(&[bad]).is_err(), "{bad:?} is no token");
    }
}
