//! Why a text is not a SPIFFE ID.

use std::fmt;

/// Part of a SPIFFE ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// The authority: who vouches.
    TrustDomain,
    /// The path: who is meant.
    Path,
    /// A Kubernetes namespace inside the path.
    Namespace,
    /// A Kubernetes service account inside the path.
    ServiceAccount,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TrustDomain => "trust domain",
            Self::Path => "path",
            Self::Namespace => "namespace",
            Self::ServiceAccount => "service account",
        })
    }
}

/// Why a text is not a SPIFFE ID, by the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpiffeIdError {
    /// The scheme is missing or not `spiffe` in lower case.
    #[error("a SPIFFE ID starts with \"spiffe://\"")]
    Scheme,
    /// The whole ID is too long.
    #[error("a SPIFFE ID has at most 2048 bytes, this one has {0}")]
    TooLong(usize),
    /// The trust domain is too long.
    #[error("a trust domain has at most 255 bytes, this one has {0}")]
    TrustDomainTooLong(usize),
    /// A part that must not be empty is.
    #[error("the {0} is empty")]
    Empty(Component),
    /// A character that the part may not hold: userinfo, port, query, fragment, percent-encoding,
    /// an upper-case trust domain, or anything outside ASCII.
    #[error("{character:?} is not allowed in the {component}; {}", allowed(*component))]
    Character {
        /// The part.
        component: Component,
        /// The first offending character.
        character: char,
    },
    /// `//` in the path, or a `/` at its end.
    #[error("the path has an empty segment; remove the doubled or trailing \"/\"")]
    EmptySegment,
    /// `.` or `..` in the path.
    #[error("the path has a \".\" or \"..\" segment; write the path without relative steps")]
    DotSegment,
    /// The ID belongs to another trust domain than the one asked about.
    #[error("the ID is not in trust domain {0:?}")]
    ForeignDomain(String),
    /// The path is not of the form used in Weft's own trust domain.
    #[error("the path is not \"/ns/<namespace>/sa/<service account>\"")]
    NotWorkload,
    /// A namespace or service account that Kubernetes could not have.
    #[error("{name:?} is not a valid Kubernetes {component} name")]
    Name {
        /// Which of the two.
        component: Component,
        /// The name.
        name: String,
    },
}

impl SpiffeIdError {
    /// A short stable name of the rule, for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Scheme => "id_scheme",
            Self::TooLong(_) => "id_too_long",
            Self::TrustDomainTooLong(_) => "id_domain_too_long",
            Self::Empty(_) => "id_empty",
            Self::Character { character, .. } => match character {
                '@' => "id_userinfo",
                ':' => "id_port",
                '?' => "id_query",
                '#' => "id_fragment",
                '%' => "id_percent_encoding",
                'A'..='Z' => "id_upper_case",
                _ => "id_character",
            },
            Self::EmptySegment => "id_empty_segment",
            Self::DotSegment => "id_dot_segment",
            Self::ForeignDomain(_) => "id_foreign_domain",
            Self::NotWorkload => "id_not_workload",
            Self::Name { .. } => "id_name",
        }
    }
}

fn allowed(component: Component) -> &'static str {
    match component {
        Component::TrustDomain => "use lower-case letters, digits, \".\", \"-\" and \"_\"",
        _ => "use letters, digits, \".\", \"-\" and \"_\"",
    }
}
