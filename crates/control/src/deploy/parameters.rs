//! What users may say about the deployment of a Gateway: a ConfigMap that
//! `spec.infrastructure.parametersRef` names, one setting per key. The ConfigMap that `parametersRef` of
//! its GatewayClass names holds the defaults, key by key. A key or value nobody knows is an error,
//! because a setting that is ignored is worse than one that is refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use thiserror::Error;
use weft_api::reference::ObjectReference;
use weft_api::service::ServiceType;
use weft_api::{ConfigMap, Gateway, GatewayClass, Object, ObjectKey};

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

/// Most errors and most characters of a value that a message shows; the message is part of a status.
const SHOWN_ERRORS: usize = 4;
const SHOWN_CHARACTERS: usize = 64;

/// What is wrong with parameters: reason `InvalidParameters` of the condition `Accepted`.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParameterError {
    /// The reference names something that is no ConfigMap.
    #[error(
        "{kind} of group {group:?} holds no parameters; name a ConfigMap, which is of group \"\""
    )]
    Kind {
        /// Group of the reference.
        group: String,
        /// Kind of the reference.
        kind: String,
    },
    /// A class has no namespace in which its ConfigMap could be.
    #[error("ConfigMap {0:?} is named without a namespace; add the one it is in")]
    NoNamespace(String),
    /// There is no such ConfigMap.
    #[error("ConfigMap {0} does not exist; create it")]
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
    /// The ConfigMap a Gateway names, which is of its own namespace (GEP-1762: the reference is a
    /// local one); `None` when it names none.
    ///
    /// # Errors
    ///
    /// When it names something else.
    pub fn referred(gateway: &Gateway) -> Result<Option<ObjectKey>, ParameterError> {
        let infrastructure = gateway.spec.infrastructure.as_deref();
        let reference = infrastructure.and_then(|it| it.parameters_ref.as_ref());
        let key = |reference: &ObjectReference| {
            is_config_map(reference)?;
            Ok(ObjectKey::new(gateway.namespace(), reference.name.as_str()))
        };
        reference.map(key).transpose()
    }

    /// The ConfigMap a GatewayClass names; `None` when it names none.
    ///
    /// # Errors
    ///
    /// When it names something else, or no namespace.
    pub fn referred_by_class(class: &GatewayClass) -> Result<Option<ObjectKey>, ParameterError> {
        let key = |reference: &ObjectReference| {
            is_config_map(reference)?;
            let name = reference.name.as_str();
            let nowhere = || ParameterError::NoNamespace(shown(name));
            let namespace = reference.namespace.as_deref().ok_or_else(nowhere)?;
            Ok(ObjectKey::new(namespace, name))
        };
        class.spec.parameters_ref.as_ref().map(key).transpose()
    }

    /// The parameters of a GatewayClass, given how to look up a ConfigMap: what its Gateways get
    /// where they say nothing themselves.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, in the order of the keys.
    pub fn of_class<'a>(
        class: &GatewayClass,
        look_up: impl FnOnce(&ObjectKey) -> Option<&'a ConfigMap>,
    ) -> Result<Self, Vec<ParameterError>> {
        let key = Self::referred_by_class(class).map_err(|error| vec![error])?;
        Self::default().overridden(key, look_up)
    }

    /// The parameters of a Gateway, given those of its class and how to look up a ConfigMap.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, in the order of the keys.
    pub fn of<'a>(
        gateway: &Gateway,
        of_class: &Self,
        look_up: impl FnOnce(&ObjectKey) -> Option<&'a ConfigMap>,
    ) -> Result<Self, Vec<ParameterError>> {
        let key = Self::referred(gateway).map_err(|error| vec![error])?;
        of_class.clone().overridden(key, look_up)
    }

    fn overridden<'a>(
        self,
        key: Option<ObjectKey>,
        look_up: impl FnOnce(&ObjectKey) -> Option<&'a ConfigMap>,
    ) -> Result<Self, Vec<ParameterError>> {
        let Some(key) = key else {
            return Ok(self);
        };
        match look_up(&key) {
            Some(map) => self.read(&key, map),
            None => Err(vec![ParameterError::Missing(key)]),
        }
    }

    fn read(mut self, map: &ObjectKey, content: &ConfigMap) -> Result<Self, Vec<ParameterError>> {
        let mut errors = Vec::new();
        for (key, value) in &content.data {
            match self.set(key, value.trim()) {
                Ok(()) => {}
                Err(Refused::Key) => errors.push(unknown(map, key)),
                Err(Refused::Value(cure)) => errors.push(ParameterError::Value {
                    map: map.clone(),
                    key: key.clone(),
                    value: shown(value),
                    cure,
                }),
            }
        }
        errors.extend(content.binary_data.keys().map(|key| unknown(map, key)));
        errors.extend(self.resources.contradictions(map));
        if errors.is_empty() {
            Ok(self)
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

impl ParameterError {
    /// Errors as one message: the first few, and how many more there are.
    #[must_use]
    pub fn list(errors: &[Self]) -> String {
        let mut words: Vec<String> = errors
            .iter()
            .take(SHOWN_ERRORS)
            .map(ToString::to_string)
            .collect();
        if errors.len() > SHOWN_ERRORS {
            words.push(format!("and {} more", errors.len() - SHOWN_ERRORS));
        }
        words.join("; ")
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

fn is_config_map(reference: &ObjectReference) -> Result<(), ParameterError> {
    let (group, kind) = (reference.group.as_str(), reference.kind.as_str());
    if (group, kind) == ("", "ConfigMap") {
        return Ok(());
    }
    let (group, kind) = (group.to_owned(), kind.to_owned());
    Err(ParameterError::Kind { group, kind })
}

/// A text of the user, as much of it as a message can hold.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn unknown(map: &ObjectKey, key: &str) -> ParameterError {
    ParameterError::UnknownKey {
        map: map.clone(),
        key: key.to_owned(),
    }
}
