//! The IDs of Weft's own trust domain: one per Kubernetes service account.

use crate::error::{Component, SpiffeIdError};
use crate::id::SpiffeId;
use crate::trust_domain::TrustDomain;

/// Longest DNS label (RFC 1123): a namespace name.
const MAX_LABEL_BYTES: usize = 63;
/// Longest DNS subdomain as Kubernetes counts it: a service account name.
const MAX_SUBDOMAIN_BYTES: usize = 253;

/// A service account, read from an ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Workload<'a> {
    /// Kubernetes namespace, a DNS label.
    pub namespace: &'a str,
    /// Kubernetes service account, a DNS subdomain.
    pub service_account: &'a str,
}

impl SpiffeId {
    /// The ID of a service account in `domain`.
    ///
    /// # Errors
    /// [`SpiffeIdError::Name`] if Kubernetes could not have a namespace or account of that name.
    pub fn for_workload(
        domain: &TrustDomain,
        workload: Workload<'_>,
    ) -> Result<Self, SpiffeIdError> {
        workload.validate()?;
        let Workload {
            namespace,
            service_account,
        } = workload;
        // At most 9 + 255 + 4 + 63 + 4 + 253 bytes, well below the bound of an ID.
        Self::parse(&format!(
            "spiffe://{domain}/ns/{namespace}/sa/{service_account}"
        ))
    }

    /// The service account this ID names in Weft's own trust domain `own`.
    ///
    /// # Errors
    /// [`SpiffeIdError::ForeignDomain`] for IDs of other domains, whose paths mean nothing to us;
    /// [`SpiffeIdError::NotWorkload`] or [`SpiffeIdError::Name`] for any other path.
    pub fn workload(&self, own: &TrustDomain) -> Result<Workload<'_>, SpiffeIdError> {
        if !self.is_member_of(own) {
            return Err(SpiffeIdError::ForeignDomain(own.to_string()));
        }
        let mut segments = self.path().split('/');
        let parts: [Option<&str>; 6] = std::array::from_fn(|_| segments.next());
        let [
            Some(""),
            Some("ns"),
            Some(namespace),
            Some("sa"),
            Some(service_account),
            None,
        ] = parts
        else {
            return Err(SpiffeIdError::NotWorkload);
        };
        let workload = Workload {
            namespace,
            service_account,
        };
        workload.validate()?;
        Ok(workload)
    }
}

impl Workload<'_> {
    fn validate(self) -> Result<(), SpiffeIdError> {
        let error = |component, name: &str| {
            Err(SpiffeIdError::Name {
                component,
                name: name.to_owned(),
            })
        };
        if !is_label(self.namespace) {
            return error(Component::Namespace, self.namespace);
        }
        if !is_subdomain(self.service_account) {
            return error(Component::ServiceAccount, self.service_account);
        }
        Ok(())
    }
}

/// RFC 1123 label: `[a-z0-9]([-a-z0-9]*[a-z0-9])?`, at most 63 bytes.
fn is_label(name: &str) -> bool {
    name.len() <= MAX_LABEL_BYTES && is_label_of_any_length(name)
}

/// Kubernetes' DNS-1123 subdomain: labels joined by dots, 253 bytes in all. As in Kubernetes, a
/// single label inside it is not held to 63 bytes.
fn is_subdomain(name: &str) -> bool {
    name.len() <= MAX_SUBDOMAIN_BYTES && name.split('.').all(is_label_of_any_length)
}

fn is_label_of_any_length(label: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.first().is_some_and(|&byte| alphanumeric(byte))
        && bytes.last().is_some_and(|&byte| alphanumeric(byte))
        && bytes.iter().all(|&byte| alphanumeric(byte) || byte == b'-')
}
