//! The order in which the parts begin and end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use weft_api::Kind;
use weft_certs::{
    BootstrapAcceptor, BuiltIn, Identity, IdentityAcceptor, InProcess, Renewer, Signer,
};
use weft_source::kube::{
    Leader, Lease, LeaseOptions, StatusOptions, StatusWriter, SystemClock, Watches,
};
use weft_spiffe::{SpiffeId, Workload};
use weft_telemetry::metrics::{Holder, IdentityLabels};
use weft_translate::features::Channel;
use weft_wire::limits::MESSAGE_BYTES;

use super::{ControlError, SERVICE_ACCOUNT, Settings, Shared, Sockets, resign, tell};
use crate::{
    admin::Progress,
    authority::{self, Found, Keeper, KeeperParts},
    deployer::Deployer,
    door::{Beside, Door, Port, ended},
    events,
    identity::{IdentityParts, IdentityService, OwnTrust, Tokens},
    proto::{
        config::config_server::ConfigServer,
        identity::identity_server::IdentityServer,
        replicas::replicas_server::{self, ReplicasServer},
    },
    reconcile::{Deploys, Parts, Reconciler},
    replicas::{self, Link, ReplicasService},
    roots,
    stream::ConfigService,
    world::Installed,
};

/// Name of the Lease.
const LEASE: &str = "weft-controller";
/// Between two attempts to have an authority, or to learn which Gateway API is installed.
const RETRY: Duration = Duration::from_secs(2);
/// Between two looks at which Gateway API is installed.
const LOOK: Duration = Duration::from_secs(10);
/// Largest request for a certificate: 4 KiB of request, an identity of 2 KiB, and room to spare.
const SIGN_BYTES: usize = 16 * 1024;

impl Shared {
    /// Works until it is told to end.
    pub(super) async fn run(mut self, sockets: Sockets) -> Result<(), ControlError> {
        let mut ending = self.ends.clone();
        let began = tokio::select! {
            () = ended(&mut ending) => return Ok(()),
            began = self.begin() => began,
        };
        let (found, renewer, identity) = began?;
        let signer = Arc::clone(&found.signer);
        // Everything in here is aborted when it is dropped.
        let mut tasks = JoinSet::new();
        let counted = self.registry.identity_metrics(IdentityLabels {
            holder: Holder::Controller,
            identity: identity.id().as_str().into(),
        });
        tasks.spawn(tell(renewer.status(), counted, self.renewal.clone()));
        tasks.spawn(self.own_trust(&signer, &renewer, &identity).run());
        let keeping = identity.clone();
        tasks.spawn(async move {
            let never: Infallible = renewer.keep(keeping).await;
            match never {}
        });
        let lease = Lease::start(self.cluster.clone(), self.lease_options(&sockets)?);
        let leads = lease.leads();
        let (told, published) = watch::channel(0);
        let publisher = self.root_publisher(signer.as_ref(), leads.clone(), told);
        tasks.spawn(publisher.run());
        tasks.spawn(self.keeper(found, leads.clone(), published).run());
        let (following, writer) = self.follow(leads, &mut tasks);
        let serves = self.link(&identity, lease.leader(), &mut tasks);
        let mut ports = self.open(sockets, (&signer, &identity), (serves, lease.leads()))?;
        self.progress.send_replace(Progress::Serving);
        let result = tokio::select! {
            () = ended(&mut ending) => Ok(()),
            () = following.run() => Err(ControlError::Blind),
        };
        self.progress.send_replace(Progress::Stopping);
        if result.is_err() {
            // Ports end with their futures; a process that does not see the cluster serves nobody.
            ports.shutdown().await;
        }
        // Draining takes seconds in which this replica writes nothing: another one may lead by then.
        let drained = async { while ports.join_next().await.is_some() {} };
        tokio::join!(drained, resign(&writer, lease));
        result
    }

    /// An authority, and a certificate of our own.
    async fn begin(&mut self) -> Result<(Found, Renewer<InProcess>, Identity), ControlError> {
        let found = self.find_authority().await?;
        let Settings {
            trust_domain,
            namespace,
            life,
            ..
        } = &self.settings;
        let workload = Workload {
            namespace,
            service_account: SERVICE_ACCOUNT,
        };
        let unnamed = |error: weft_spiffe::SpiffeIdError| ControlError::Identity(error.to_string());
        let id = SpiffeId::for_workload(trust_domain, workload).map_err(unnamed)?;
        let issuance = InProcess {
            signer: found.signer.clone(),
            life: *life,
            clock: self.clock.clone(),
        };
        let chance = self.settings.chance();
        let renewer = Renewer::new(&id, issuance, self.clock.clone(), chance);
        let mut renewer = renewer.map_err(unnamed)?;
        let identity = renewer.obtain().await;
        Ok((found, renewer, identity))
    }

    async fn find_authority(&self) -> Result<Found, ControlError> {
        let Settings {
            namespace,
            trust_domain,
            ..
        } = &self.settings;
        let mut told = String::new();
        loop {
            let found = authority::find(&self.cluster, namespace, trust_domain, &self.clock);
            match found.await {
                Ok(found) => return Ok(found),
                Err(error) if error.is_transient() => {
                    let text = error.to_string();
                    if text != told {
                        tracing::warn!("no certification authority yet: {text}");
                    }
                    self.progress
                        .send_replace(Progress::NoAuthority(text.clone()));
                    told = text;
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// What follows the cluster and writes to it.
    fn follow(
        &self,
        leads: watch::Receiver<bool>,
        tasks: &mut JoinSet<()>,
    ) -> (Reconciler, Arc<StatusWriter>) {
        let mut watch = self.settings.watch.clone();
        let domain = self.settings.trust_domain.clone();
        let mesh = (domain, self.settings.namespace.clone());
        let mesh = self.settings.mesh.then_some(mesh);
        if mesh.is_some() {
            watch.kinds.push(Kind::Pod);
        }
        let watches = Watches::start(self.cluster.clone(), watch);
        let clock = Arc::new(SystemClock::default());
        let jitter = Settings::jitter(&self.settings.replica);
        let writer = StatusWriter::start(
            self.cluster.clone(),
            watches.versions(),
            StatusOptions::new(clock, jitter),
            leads.clone(),
        );
        let writer = Arc::new(writer);
        let process = self.registry.process();
        let (found, installed) = watch::channel(None);
        tasks.spawn(look_at_gateway_api(self.cluster.clone(), found));
        let deploys = self.settings.deploy.clone().map(|settings| {
            let (plan, planned) = watch::channel(Arc::default());
            let (failed, failures) = watch::channel(Arc::default());
            let deployer = Deployer {
                cluster: self.cluster.clone(),
                plan: planned,
                failures: failed,
                leads: leads.clone(),
            };
            tasks.spawn(deployer.run());
            Deploys {
                settings,
                plan,
                failures,
            }
        });
        let events = events::start(self.cluster.clone(), leads.clone(), process, tasks);
        let reconciler = Reconciler::new(Parts {
            watches,
            writer: Arc::clone(&writer),
            leads,
            installed,
            hub: Arc::clone(&self.hub),
            clock: self.clock.clone(),
            metrics: self.registry.config(),
            deploys,
            mesh,
            events,
        });
        (reconciler, writer)
    }

    /// Whom this replica trusts itself.
    fn own_trust(
        &self,
        signer: &BuiltIn,
        renewer: &Renewer<InProcess>,
        identity: &Identity,
    ) -> OwnTrust {
        OwnTrust {
            identity: identity.clone(),
            roots: signer.roots(),
            renewals: renewer.status(),
            soon: renewer.renew_soon(),
            hub: Arc::clone(&self.hub),
            shown: self.registry.trust(),
        }
    }

    fn keeper(
        &self,
        found: Found,
        leads: watch::Receiver<bool>,
        published: watch::Receiver<u64>,
    ) -> Keeper {
        let parts = KeeperParts {
            cluster: self.cluster.clone(),
            namespace: self.settings.namespace.clone(),
            domain: self.settings.trust_domain.clone(),
            clock: self.clock.clone(),
            life: self.settings.life,
            hub: Arc::clone(&self.hub),
            leads,
            published,
            dwell: self.settings.rotation_dwell,
        };
        Keeper::new(found, parts)
    }

    fn root_publisher(
        &self,
        signer: &BuiltIn,
        leads: watch::Receiver<bool>,
        published: watch::Sender<u64>,
    ) -> roots::Publisher {
        roots::Publisher {
            cluster: self.cluster.clone(),
            domain: self.settings.trust_domain.clone(),
            clock: self.clock.clone(),
            roots: signer.roots(),
            leads,
            hub: Arc::clone(&self.hub),
            nodes: self.settings.mesh.then(|| self.settings.namespace.clone()),
            published,
        }
    }

    /// Tells the replica that leads what proxies have taken; whether this one may serve.
    fn link(
        &self,
        identity: &Identity,
        leader: watch::Receiver<Leader>,
        tasks: &mut JoinSet<()>,
    ) -> watch::Receiver<bool> {
        let (serves, serving) = watch::channel(false);
        let link = Link {
            hub: Arc::clone(&self.hub),
            identity: identity.clone(),
            replica: self.settings.replica.clone(),
            leader,
            serves,
        };
        tasks.spawn(link.run());
        serving
    }

    /// Serves both ports.
    fn open(
        &self,
        sockets: Sockets,
        (signer, identity): (&Arc<BuiltIn>, &Identity),
        (serves, leads): (watch::Receiver<bool>, watch::Receiver<bool>),
    ) -> Result<JoinSet<()>, ControlError> {
        let unusable = |error: weft_certs::IdentityError| ControlError::Identity(error.to_string());
        let members = IdentityAcceptor::new(identity).map_err(unusable)?;
        let newcomers = BootstrapAcceptor::new(identity).map_err(unusable)?;
        let port = |listener, door| Port {
            listener,
            door,
            ends: self.ends.clone(),
            metrics: self.registry.process(),
        };
        let tokens = Arc::new(Tokens::new(self.cluster.clone(), self.clock.clone()));
        let streams = ConfigServer::new(ConfigService {
            hub: Arc::clone(&self.hub),
            domain: self.settings.trust_domain.clone(),
            clock: self.clock.clone(),
            metrics: self.registry.config(),
            serves,
            ends: self.ends.clone(),
            roots: signer.roots(),
            spread: self.settings.rotation_spread,
            tokens: Arc::clone(&tokens),
            nodes: self.settings.nodes(),
        });
        let streams = streams
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES);
        let reports = ReplicasServer::new(ReplicasService {
            hub: Arc::clone(&self.hub),
            own: identity.id(),
            clock: self.clock.clone(),
            leads,
            ends: self.ends.clone(),
        });
        let members_call = Beside {
            service: streams,
            other: reports.max_decoding_message_size(MESSAGE_BYTES),
            other_name: replicas_server::SERVICE_NAME,
        };
        let certificates = IdentityServer::new(IdentityService::new(IdentityParts {
            tokens,
            domain: self.settings.trust_domain.clone(),
            signer: signer.clone(),
            life: self.settings.life,
            clock: self.clock.clone(),
            hub: Arc::clone(&self.hub),
            nodes: self.settings.nodes(),
            issuance: self.registry.issuance(),
        }));
        let certificates = certificates.max_decoding_message_size(SIGN_BYTES);
        let mut ports = JoinSet::new();
        ports.spawn(port(sockets.config, Door::Members(members)).serve(members_call));
        ports.spawn(port(sockets.identity, Door::Newcomers(newcomers)).serve(certificates));
        Ok(ports)
    }

    fn lease_options(&self, sockets: &Sockets) -> Result<LeaseOptions, ControlError> {
        let Settings {
            namespace,
            replica,
            advertise,
            config,
            ..
        } = &self.settings;
        let listening = sockets.config.local_addr();
        let listening = listening.map_err(|source| ControlError::Bind {
            address: *config,
            source,
        })?;
        Ok(LeaseOptions::new(
            (namespace, LEASE),
            &replicas::identity(replica, listening, *advertise),
            Arc::new(SystemClock::default()),
            Settings::jitter(replica),
        ))
    }
}

/// Learns which Gateway API is installed, again and again: people upgrade it.
async fn look_at_gateway_api(
    cluster: weft_source::kube::Cluster,
    found: watch::Sender<Option<Installed>>,
) {
    loop {
        let wait = match cluster.gateway_api().await {
            Ok(installed) => {
                let channel = installed.as_ref().and_then(|it| it.channel.as_deref());
                let channel = match channel {
                    Some("experimental") => Channel::Experimental,
                    _ => Channel::Standard,
                };
                let next = Some(Installed {
                    channel,
                    bundle_version: installed.and_then(|it| it.bundle_version),
                });
                found.send_if_modified(|now| {
                    let has_changed = *now != next;
                    *now = next;
                    has_changed
                });
                LOOK
            }
            Err(error) => {
                tracing::warn!("cannot see which Gateway API is installed: {error}");
                RETRY
            }
        };
        tokio::time::sleep(wait).await;
    }
}
