//! What users may say about the deployment of a Gateway: a ConfigMap that
//! `spec.infrastructure.parametersRef` names, one setting per key. A key or value nobody knows is
//! an error, because a setting that is ignored is worse than one that is refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use thiserror::Error;
use weft_api::reference::ObjectReference;
use weft_api::service::ServiceType;
use weft_api::{ConfigMap, Gateway, ObjectKey};

use super::quantity;

/// Most pods of one Gateway.
const REPLICAS_MAX: u16 = 1000;
/// What a Service of a Gateway can be.
const SERVICE_TYPES: &[ServiceType] = &[
    ServiceType::LoadBalancer,
    ServiceType::ClusterIp,
    ServiceType::NodePort,
];
/// Every key, for the message about one that is none of them.
const KEYS: &[&str] = &[
    REPLICAS,
    SERVICE_TYPE,
    LOG_LEVEL,
    "resources.requests.cpu",
    "resources.requests.memory",
    "resources.limits.cpu",
    "resources.limits.memory",
];
const REPLICAS: &str = "replicas";
const SERVICE_TYPE: &str = "serviceType";
const LOG_LEVEL: &str = "logLevel";

/// Settings of one deployment. The default is what a Gateway without parameters gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// Number of pods; `None` leaves it to whoever scales the Deployment. Kubernetes begins with 1.
    pub replicas: Option<u16>,
    /// How the Service is reached.
    pub service_type: ServiceType,
    /// What pods ask for and may use.
    pub resources: Resources,
    /// How much pods log.
    pub log_level: LogLevel,
}

/// Quantities of resources by name, `cpu` and `memory`.
#[derive(Clone, Debug, PartialEq)]
pub struct Resources {
    /// What is set aside for a pod.
    pub requests: BTreeMap<String, String>,
    /// What a pod can have at most. Empty by default: a limit on CPU is a limit on latency, and
    /// one on memory that fits every configuration does not exist.
    pub limits: BTreeMap<String, String>,
}

/// The least severe events that are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What fails.
    Error,
    /// What may be wrong.
    Warn,
    /// What happens rarely.
    #[default]
    Info,
    /// What happens.
    Debug,
    /// Everything.
    Trace,
}

/// What is wrong with parameters: reason `InvalidParameters` of the condition `Accepted`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// The reference names something that is no ConfigMap.
    #[error(
        "spec.infrastructure.parametersRef: {kind} of group {group:?} holds no parameters; name a \
         ConfigMap (group \"\") in the namespace of the Gateway"
    )]
    Kind {
        /// Group of the reference.
        group: String,
        /// Kind of the reference.
        kind: String,
    },
    /// There is no such ConfigMap.
    #[error("spec.infrastructure.parametersRef: ConfigMap {0} does not exist; create it")]
    Missing(ObjectKey),
    /// The ConfigMap has a key that is no setting.
    #[error("ConfigMap {map}: {key:?} is no parameter; there are {}", KEYS.join(", "))]
    UnknownKey {
        /// The ConfigMap.
        map: ObjectKey,
        /// The key.
        key: String,
    },
    /// The ConfigMap has a value its key cannot have.
    #[error("ConfigMap {map}: {key}: {value:?} {cure}")]
    Value {
        /// The ConfigMap.
        map: ObjectKey,
        /// The key.
        key: String,
        /// The value.
        value: String,
        /// What it should be.
        cure: String,
    },
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            replicas: None,
            service_type: ServiceType::LoadBalancer,
            resources: Resources::default(),
            log_level: LogLevel::default(),
        }
    }
}

impl Default for Resources {
    fn default() -> Self {
        let requests = [("cpu", "100m"), ("memory", "64Mi")];
        Self {
            requests: requests
                .map(|(of, it)| (of.to_owned(), it.to_owned()))
                .into(),
            limits: BTreeMap::new(),
        }
    }
}

impl LogLevel {
    const ALL: [Self; 5] = [
        Self::Error,
        Self::Warn,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// As parameters and command lines write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Resources {
    pub(super) fn rendered(&self) -> Value {
        let mut rendered = json!({ "requests": self.requests });
        if !self.limits.is_empty() {
            rendered["limits"] = json!(self.limits);
        }
        rendered
    }
}

impl Parameters {
    /// The ConfigMap a Gateway names; `None` when it names none.
    ///
    /// # Errors
    ///
    /// When it names something else.
    pub fn referred(gateway: &Gateway) -> Result<Option<ObjectKey>, ParameterError> {
        let infrastructure = gateway.spec.infrastructure.as_deref();
        let Some(reference) = infrastructure.and_then(|it| it.parameters_ref.as_ref()) else {
            return Ok(None);
        };
        let ObjectReference { group, kind, .. } = reference;
        if !group.is_empty() || kind != "ConfigMap" {
            let (group, kind) = (group.clone(), kind.clone());
            return Err(ParameterError::Kind { group, kind });
        }
        // The reference is a local one (GEP-1762): it has no namespace to name.
        let namespace = gateway.metadata.namespace.as_deref().unwrap_or_default();
        Ok(Some(ObjectKey::new(namespace, reference.name.as_str())))
    }

    /// The parameters of a Gateway, given how to look up a ConfigMap.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, in the order of the keys.
    pub fn of<'a>(
        gateway: &Gateway,
        look_up: impl FnOnce(&ObjectKey) -> Option<&'a ConfigMap>,
    ) -> Result<Self, Vec<ParameterError>> {
        let Some(key) = Self::referred(gateway).map_err(|error| vec![error])? else {
            return Ok(Self::default());
        };
        match look_up(&key) {
            Some(map) => Self::read(&key, map),
            None => Err(vec![ParameterError::Missing(key)]),
        }
    }

    fn read(map: &ObjectKey, content: &ConfigMap) -> Result<Self, Vec<ParameterError>> {
        let mut parameters = Self::default();
        let mut errors = Vec::new();
        for (key, value) in &content.data {
            match parameters.set(key, value.trim()) {
                Ok(()) => {}
                Err(Refused::Key) => errors.push(unknown(map, key)),
                Err(Refused::Value(cure)) => errors.push(ParameterError::Value {
                    map: map.clone(),
                    key: key.clone(),
                    value: value.clone(),
                    cure,
                }),
            }
        }
        errors.extend(content.binary_data.keys().map(|key| unknown(map, key)));
        errors.extend(parameters.resources.contradictions(map));
        if errors.is_empty() {
            Ok(parameters)
        } else {
            Err(errors)
        }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Refused> {
        if let Some((which, of)) = key
            .strip_prefix("resources.")
            .and_then(|rest| rest.split_once('.'))
            .filter(|_| KEYS.contains(&key))
        {
            if quantity::parse(value).is_none() {
                return Err(Refused::value("is no quantity such as 250m, 1.5 or 64Mi"));
            }
            let resources = match which {
                "limits" => &mut self.resources.limits,
                _ => &mut self.resources.requests,
            };
            resources.insert(of.to_owned(), value.to_owned());
            return Ok(());
        }
        match key {
            REPLICAS => {
                let number = value.parse().ok();
                let number = number.filter(|number| (1..=REPLICAS_MAX).contains(number));
                let cure = || Refused::Value(format!("is no number from 1 to {REPLICAS_MAX}"));
                self.replicas = Some(number.ok_or_else(cure)?);
            }
            SERVICE_TYPE => {
                let named = SERVICE_TYPES.iter().find(|it| it.as_str() == value);
                let cure = || Refused::one_of(SERVICE_TYPES.iter().map(ServiceType::as_str));
                self.service_type = named.ok_or_else(cure)?.clone();
            }
            LOG_LEVEL => {
                let mut levels = LogLevel::ALL.into_iter();
                let named = levels.find(|level| level.as_str() == value);
                let cure = || Refused::one_of(LogLevel::ALL.into_iter().map(LogLevel::as_str));
                self.log_level = named.ok_or_else(cure)?;
            }
            _ => return Err(Refused::Key),
        }
        Ok(())
    }
}

impl Resources {
    /// Requests above their limit, which the API server refuses.
    fn contradictions(&self, map: &ObjectKey) -> Vec<ParameterError> {
        let mut errors = Vec::new();
        for (of, request) in &self.requests {
            let Some(limit) = self.limits.get(of) else {
                continue;
            };
            if quantity::parse(request) > quantity::parse(limit) {
                errors.push(ParameterError::Value {
                    map: map.clone(),
                    key: format!("resources.limits.{of}"),
                    value: limit.clone(),
                    cure: format!("is less than the request of {request}; raise it or lower that"),
                });
            }
        }
        errors
    }
}

/// Why a setting is refused.
enum Refused {
    Key,
    Value(String),
}

impl Refused {
    fn value(cure: &str) -> Self {
        Self::Value(cure.to_owned())
    }

    fn one_of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<_> = names.collect();
        Self::Value(format!("is none of {}", names.join(", ")))
    }
}

fn unknown(map: &ObjectKey, key: &str) -> ParameterError {
    ParameterError::UnknownKey {
        map: map.clone(),
        key: key.to_owned(),
    }
}
