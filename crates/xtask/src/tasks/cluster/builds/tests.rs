//! What the builder prints, read.

use std::path::Path;

use super::Builds;

#[test]
fn programs_and_images_are_told_apart() {
    let builds =
        Builds::parse("kube\tbinary\t/c/kube\necho\tbinary\t/c/echo\necho\timage\t/c/e.tar\n")
            .expect("these are the builder's lines");
    assert_eq!(
        builds.binary("kube").ok(),
        Some(Path::new("/c/kube")),
        "where the program is"
    );
    assert_eq!(
        Vec::from_iter(builds.images()),
        [Path::new("/c/e.tar")],
        "kube is no image"
    );
    assert!(builds.binary("bed").is_err(), "nobody asked for the bed");
}

#[test]
fn a_line_of_another_form_is_an_error() {
    for line in [
        "kube binary /c/kube",
        "kube\tlibrary\t/c/kube",
        "kube\tbinary",
    ] {
        assert!(Builds::parse(line).is_err(), "`{line}` was understood");
    }
}
