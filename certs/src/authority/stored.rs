//! An authority as it is stored.

use crate::secret::SecretPem;

use super::ImportError;

const ROOT_CERT: &str = "root.crt";
const ROOT_KEY: &str = "root.key";
const ISSUER_CHAIN: &str = "issuer.crt";
const ISSUER_KEY: &str = "issuer.key";

/// An authority as it is stored: one Secret, or one directory, of four items.
///
/// All texts are PEM. The keys are wiped when dropped and not shown by `Debug`.
#[derive(Debug)]
pub struct AuthorityPem {
    /// `root.crt`: the root certificate, the trust anchor of the domain.
    pub root_cert: String,
    /// `root.key`; `None` where it is kept offline, which rules out new intermediates from here.
    pub root_key: Option<SecretPem>,
    /// `issuer.crt`: the certificate that issues leaves, then those between it and the root, if any. May
    /// be the root itself.
    pub issuer_chain: String,
    /// `issuer.key`: the issuing key.
    pub issuer_key: SecretPem,
}

impl AuthorityPem {
    /// Reads the items by their names.
    ///
    /// # Errors
    ///
    /// [`ImportError::Missing`] for all but `root.key`.
    pub fn from_items(mut item: impl FnMut(&str) -> Option<String>) -> Result<Self, ImportError> {
        let mut required = |name| item(name).ok_or(ImportError::Missing(name));
        Ok(Self {
            root_cert: required(ROOT_CERT)?,
            issuer_chain: required(ISSUER_CHAIN)?,
            issuer_key: required(ISSUER_KEY).map(SecretPem::new)?,
            root_key: item(ROOT_KEY).map(SecretPem::new),
        })
    }

    /// The items by their names, keys in the clear: for writing them to where they belong, and nowhere
    /// else.
    pub fn items(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let root_key = self.root_key.as_ref().map(SecretPem::expose);
        [
            (ROOT_CERT, Some(self.root_cert.as_str())),
            (ROOT_KEY, root_key),
            (ISSUER_CHAIN, Some(self.issuer_chain.as_str())),
            (ISSUER_KEY, Some(self.issuer_key.expose())),
        ]
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
    }
}
