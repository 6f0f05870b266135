//! Being a member of the mesh: the certificate of the proxy, and with it the control plane.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use weft_certs::{Clock, RenewalStatus, Renewer};
use weft_spiffe::{SpiffeId, TrustDomain};
use weft_wire::proto::config::WorkerTrusts;

use super::{
    Happened, NameError, Settings,
    link::{self, ControlPlane},
    sign::{IdentityService, Token},
    signing::Signer,
    trust::Trusting,
};
use crate::chance::Chance;

/// The delays of a renewer grow to minutes, which is long for somebody who cannot start: it begins
/// anew after this time.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Service account of the control plane.
const CONTROLLER: &str = "weft-controller";

/// By what a stream shows who opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// The certificate says it all.
    Certificate,
    /// The certificate is one of many who share an account; the token says which of them.
    CertificateAndToken,
}

/// Somebody who becomes a member.
#[derive(Debug)]
pub(crate) struct Member {
    id: SpiffeId,
    renewer: Renewer<IdentityService>,
    service: IdentityService,
    control_plane: ControlPlane,
    domain: TrustDomain,
    workers: watch::Sender<Vec<WorkerTrusts>>,
    chance: Chance,
}

impl Member {
    /// Nothing is asked for yet.
    ///
    /// # Errors
    /// [`NameError`].
    pub(crate) fn new(settings: &Settings, proof: Proof, clock: Clock) -> Result<Self, NameError> {
        let name = |what| move |source| NameError { what, source };
        let domain = &settings.trust_domain;
        let trust_domain = TrustDomain::parse(domain).map_err(name("the trust domain"))?;
        let workload = |namespace: &str, account: &str| {
            SpiffeId::parse(&format!("spiffe://{domain}/ns/{namespace}/sa/{account}"))
        };
        let own = workload(&settings.namespace, &settings.service_account)
            .map_err(name("the proxy's namespace with its service account"))?;
        let controller = workload(&settings.control_namespace, CONTROLLER)
            .map_err(name("the control plane's namespace"))?;
        let token = Token::new(&settings.token_file);
        let service = IdentityService {
            host: settings.host.clone(),
            port: settings.identity_port,
            controller: controller.clone(),
            trust_domain: trust_domain.clone(),
            root_file: settings.root_file.clone(),
            token: token.clone(),
            clock: clock.clone(),
        };
        let mut chance = Chance::new(settings.seed);
        let mut drawn = Chance::new(chance.next());
        let renewer = Renewer::new(&own, service.clone(), clock, move || drawn.draw())
            .map_err(name("the proxy's identity"))?;
        let control_plane = ControlPlane {
            host: settings.host.clone(),
            port: settings.config_port,
            controller,
            token: (proof == Proof::CertificateAndToken).then_some(token),
        };
        Ok(Self {
            id: own,
            renewer,
            service,
            control_plane,
            domain: trust_domain,
            workers: watch::Sender::default(),
            chance,
        })
    }

    /// Who it is.
    pub(crate) fn id(&self) -> SpiffeId {
        self.id.clone()
    }

    /// The trust domain of the mesh.
    pub(crate) fn domain(&self) -> TrustDomain {
        self.domain.clone()
    }

    /// The identity service, for asking on behalf of others.
    pub(crate) fn signer(&self) -> Arc<dyn Signer> {
        Arc::new(self.service.clone())
    }

    /// Where it is said whom the workers of the proxy trust, which the control plane is told.
    pub(crate) fn workers(&self) -> watch::Sender<Vec<WorkerTrusts>> {
        self.workers.clone()
    }

    /// Becomes a member, stays one, and follows the control plane as such. Ends when nobody listens
    /// to `events` any more.
    pub(crate) async fn run<E: From<Happened>>(
        self,
        events: mpsc::Sender<E>,
        renewal: watch::Sender<RenewalStatus>,
    ) {
        let telling = tell(self.renewer.status(), renewal);
        let Self {
            id: _,
            mut renewer,
            service: _,
            control_plane,
            domain,
            workers,
            chance,
        } = self;
        let being = async move {
            let identity = loop {
                if let Ok(identity) = timeout(RETRY_FIRST, renewer.obtain()).await {
                    break identity;
                }
            };
            let trusting = Trusting::new(
                (identity.clone(), domain),
                (renewer.renew_soon(), renewer.status()),
                workers.subscribe(),
            );
            let following = link::follow(control_plane, trusting, events, chance);
            tokio::select! {
                never = renewer.keep(identity) => match never {},
                () = following => {}
            }
        };
        tokio::join!(telling, being);
    }
}

/// Logs what fails, and passes on how renewal goes.
async fn tell(mut status: watch::Receiver<RenewalStatus>, renewal: watch::Sender<RenewalStatus>) {
    loop {
        let now = status.borrow_and_update().clone();
        if let Some(error) = &now.last_error {
            tracing::warn!("no new certificate: {error}");
        }
        renewal.send_replace(now);
        if status.changed().await.is_err() {
            return;
        }
    }
}
