//! Private keys as text, for as long as they have to be text.

use std::fmt;

use zeroize::Zeroizing;

/// A private key in PEM: wiped from memory when dropped, not shown by `Debug`.
pub struct SecretPem(Zeroizing<String>);

impl SecretPem {
    /// Takes over a text read from where the key is kept. The text is not checked here; whoever
    /// parses it says what is wrong with it.
    #[must_use]
    pub fn new(pem: String) -> Self {
        Self(Zeroizing::new(pem))
    }

    /// The PEM text, for writing it to where the key belongs.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretPem([redacted])")
    }
}
