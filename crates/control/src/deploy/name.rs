//! Names of generated objects: what GEP-1762 says, within what Kubernetes allows.

/// Bytes of a DNS label, which Services, label values and host names of pods must not exceed.
const LABEL_BYTES_MAX: usize = 63;
/// Bytes of a dash and the digits of a digest.
const SUFFIX_BYTES: usize = 9;

/// Name of the Deployment, the Service and the ServiceAccount of a Gateway:
/// `<gateway>-<class>` (GEP-1762).
///
/// A Service needs a DNS label that begins with a letter (RFC 1035 section 2.3.1). Where the two
/// names do not make one, because they are too long, have dots or begin with a digit, the name is
/// made fit and ends with a digest of both, so that it stays unique.
#[must_use]
pub fn deployed_name(gateway: &str, class: &str) -> String {
    let plain = format!("{gateway}-{class}");
    let begins_well = plain.starts_with(|first: char| first.is_ascii_lowercase());
    if plain.len() <= LABEL_BYTES_MAX && begins_well && !plain.contains('.') {
        return plain;
    }
    let prefix = if begins_well { "" } else { "gw-" };
    let fit = format!("{prefix}{}", plain.replace('.', "-"));
    // A slash is in neither name.
    shortened(&fit, &format!("{gateway}/{class}"))
}

/// A name of an object as the value of a label: itself, or cut and with a digest where it is
/// longer than the 63 bytes of a label value.
#[must_use]
pub fn label_value(name: &str) -> String {
    if name.len() <= LABEL_BYTES_MAX {
        name.to_owned()
    } else {
        shortened(name, name)
    }
}

/// At most 63 bytes of `name`, the last of which are a digest of `whole`.
fn shortened(name: &str, whole: &str) -> String {
    let room = name.len().min(LABEL_BYTES_MAX - SUFFIX_BYTES);
    // Names of Kubernetes objects are ASCII, so a byte is a character.
    let kept = name.get(..room).unwrap_or(name);
    let kept = kept.trim_end_matches(['-', '.']);
    format!("{kept}-{:08x}", digest(whole))
}

/// FNV-1a folded to 32 bits. Must never change: names of objects in clusters end with it.
fn digest(text: &str) -> u32 {
    let whole = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d, e, f, g, h] = whole.to_be_bytes();
    u32::from_be_bytes([a ^ e, b ^ f, c ^ g, d ^ h])
}

#[cfg(test)]
mod tests {
    use super::{LABEL_BYTES_MAX, deployed_name, label_value};

    fn check(gateway: &str, class: &str, expected: &str) {
        let name = deployed_name(gateway, class);
        assert_eq!(name, expected, "the name for Gateway {gateway} of {class}");
        assert!(name.len() <= LABEL_BYTES_MAX, "{name} is no DNS label");
    }

    #[test]
    fn names_are_gateway_and_class_where_that_is_a_dns_label() {
        check("edge", "weft", "edge-weft");
        let most = "g".repeat(58);
        check(&most, "weft", &format!("{most}-weft"));
    }

    #[test]
    fn other_names_are_made_fit_and_end_with_a_digest() {
        check("edge.shop", "weft", "edge-shop-weft-abb20a00");
        check("1st", "weft", "gw-1st-weft-e815777e");
        let long = "g".repeat(59);
        let cut = format!("{}-01a65dfb", "g".repeat(54));
        check(&long, "weft", &cut);
    }

    #[test]
    fn names_that_are_made_fit_stay_apart() {
        let all = [("a.b", "c"), ("a", "b.c"), ("a.b.c", "c"), ("a-b.c", "c")];
        let names = all.map(|(gateway, class)| deployed_name(gateway, class));
        for (index, name) in names.iter().enumerate() {
            assert!(!names[..index].contains(name), "two Gateways have {name}");
        }
    }

    #[test]
    fn a_label_value_is_the_name_or_as_much_of_it_as_fits() {
        assert_eq!(label_value("edge.shop"), "edge.shop");
        let value = label_value(&format!("{}.b{}", "a".repeat(53), "c".repeat(40)));
        assert_eq!(value.len(), 62, "no dot before the dash: {value}");
        assert!(!value.contains(".-"), "{value}");
    }
}
