//! The compiled configuration of one process.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{Gateway, Name, Service};

/// Everything the data path needs to decide, immutable and swapped whole. Parts that did not change
/// are shared with the tables before (`Arc` pointer equality).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tables {
    /// Gateways by name.
    #[serde(with = "crate::serde_http::by_name")]
    pub gateways: BTreeMap<Name, Arc<Gateway>>,
    /// Services that have a ClusterIP, by name.
    #[serde(with = "crate::serde_http::by_name")]
    pub services: BTreeMap<Name, Arc<Service>>,
}
