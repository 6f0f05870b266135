//! Shapes of texts that API servers demand outside of schemas (`k8s.io/apimachinery`,
//! `util/validation`).

/// Most bytes of a DNS label (RFC 1123).
const LABEL_MAX_BYTES: usize = 63;
/// Most bytes of a DNS name (RFC 1123).
const NAME_MAX_BYTES: usize = 253;
/// Most bytes of the name of a port (RFC 6335).
const PORT_NAME_MAX_BYTES: usize = 15;

/// RFC 1123: lower-case letters, digits and `-`, with a letter or digit at both ends.
pub(super) fn is_dns_label(text: &str) -> bool {
    text.len() <= LABEL_MAX_BYTES
        && ends_with_alphanumerics(text)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// RFC 1123: labels with points between them.
pub(super) fn is_dns_name(text: &str) -> bool {
    let label = |part: &str| is_dns_label(part) || (part.len() > LABEL_MAX_BYTES && is_long(part));
    text.len() <= NAME_MAX_BYTES && text.split('.').all(label)
}

/// API servers bound the whole name, not its labels.
fn is_long(part: &str) -> bool {
    ends_with_alphanumerics(part)
        && part
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// RFC 6335: at most 15 lower-case letters, digits and single `-`, at least one letter.
pub(super) fn is_port_name(text: &str) -> bool {
    text.len() <= PORT_NAME_MAX_BYTES
        && is_dns_label(text)
        && !text.contains("--")
        && text.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// `[prefix/]name`, the keys of labels and annotations.
pub(super) fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    prefix.is_none_or(is_dns_name) && !name.is_empty() && is_label_value(name)
}

/// At most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends; or nothing.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty()
        || text.len() <= LABEL_MAX_BYTES
            && ends_with_alphanumerics(text)
            && text.bytes().all(is_config_byte)
}

/// Letters, digits, `-`, `_` and `.`: the keys of ConfigMaps and Secrets.
pub(super) fn is_config_key(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len())
        && text.bytes().all(is_config_byte)
        && text != "."
        && !text.starts_with("..")
}

fn is_config_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn ends_with_alphanumerics(text: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    alphanumeric(text.as_bytes().first()) && alphanumeric(text.as_bytes().last())
}
