//! What is read once, again, and no more.

use super::*;

fn resources(rows: &[(&str, &Arc<String>)]) -> Arc<BTreeMap<Name, Arc<String>>> {
    let entry = |(name, text): &(&str, &Arc<String>)| (Name::new("shop", *name), Arc::clone(text));
    Arc::new(rows.iter().map(entry).collect())
}

fn text(of: &str) -> Arc<String> {
    Arc::new(of.to_owned())
}

#[test]
fn what_did_not_change_stays_the_same_value() {
    let (one, two, bad) = (text("1"), text("2"), text("none"));
    let (a, b) = (Name::new("shop", "a"), Name::new("shop", "b"));
    let mut parsed = Parsed::new(Kind::CaBundle);
    let parse = |text: &String| text.parse::<u8>().map(Arc::new);

    let first = resources(&[("a", &one), ("b", &two)]);
    let refused = parsed.update(Arc::clone(&first), parse);
    assert_eq!(refused, Some(Vec::new()), "all is new and good");
    let before = parsed.usable();
    assert_eq!(before[&b], Arc::new(2));
    assert_eq!(parsed.update(first, parse), None, "nothing is new");

    let refused = parsed.update(resources(&[("a", &one), ("b", &bad)]), parse);
    let refused = refused.expect("one changed");
    let named: Vec<_> = refused.iter().map(|it| (&*it.r#type, &*it.name)).collect();
    assert_eq!(named, [("CaBundle", "shop/b")], "the one that is bad");
    let after = parsed.usable();
    assert!(Arc::ptr_eq(&after[&a], &before[&a]), "a neighbour is kept");
    assert!(!after.contains_key(&b), "the one before is not used on");

    let refused = parsed.update(resources(&[("b", &bad)]), parse);
    assert_eq!(refused, Some(Vec::new()), "it is said once");
    assert!(parsed.usable().is_empty(), "one is gone, one is bad");
}
