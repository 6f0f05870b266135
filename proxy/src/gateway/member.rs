//! Being a member of the mesh: the certificate of the proxy, and with it the control plane.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use weft_certs::{Clock, RenewalStatus, Renewer};
use weft_spiffe::{SpiffeId, TrustDomain};

use super::{
    Event, GatewayError, Settings,
    link::{self, ControlPlane},
    sign::IdentityService,
    trust::Trusting,
};
use crate::chance::Chance;

/// The delays of a renewer grow to minutes, which is long for somebody who cannot start: it begins
/// anew after this time.
const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Service account of the control plane.
const CONTROLLER: &str = "weft-controller";

/// Somebody who becomes a member.
#[derive(Debug)]
pub(super) struct Member {
    renewer: Renewer<IdentityService>,
    control_plane: ControlPlane,
    domain: TrustDomain,
    clock: Clock,
    chance: Chance,
}

impl Member {
    /// Nothing is asked for yet.
    ///
    /// # Errors
    /// [`GatewayError::Name`].
    pub(super) fn new(settings: &Settings, clock: Clock) -> Result<Self, GatewayError> {
        let name = |what| move |source| GatewayError::Name { what, source };
        let domain = &settings.trust_domain;
        let trust_domain = TrustDomain::parse(domain).map_err(name("the trust domain"))?;
        let workload = |namespace: &str, account: &str| {
            SpiffeId::parse(&format!("spiffe://{domain}/ns/{namespace}/sa/{account}"))
        };
        let own = workload(&settings.namespace, &settings.service_account)
            .map_err(name("the Gateway's namespace with the service account"))?;
        let controller = workload(&settings.control_namespace, CONTROLLER)
            .map_err(name("the control plane's namespace"))?;
        let service = IdentityService {
            host: settings.control_plane.clone(),
            port: settings.identity_port,
            controller: controller.clone(),
            trust_domain: trust_domain.clone(),
            root_file: settings.root_file.clone(),
            token_file: settings.token_file.clone(),
            clock: clock.clone(),
        };
        let mut chance = Chance::new(settings.seed);
        let mut drawn = Chance::new(chance.next());
        let renewer = Renewer::new(&own, service, clock.clone(), move || drawn.draw())
            .map_err(name("the proxy's identity"))?;
        let control_plane = ControlPlane {
            host: settings.control_plane.clone(),
            port: settings.config_port,
            controller,
        };
        Ok(Self {
            renewer,
            control_plane,
            domain: trust_domain,
            clock,
            chance,
        })
    }

    /// Becomes a member, stays one, and follows the control plane as such. Ends when nobody listens
    /// to `events` any more.
    pub(super) async fn run(
        self,
        events: mpsc::Sender<Event>,
        renewal: watch::Sender<RenewalStatus>,
    ) {
        let telling = tell(self.renewer.status(), renewal);
        let Self {
            mut renewer,
            control_plane,
            domain,
            clock,
            chance,
        } = self;
        let being = async move {
            let identity = loop {
                if let Ok(identity) = timeout(RETRY_FIRST, renewer.obtain()).await {
                    break identity;
                }
            };
            let trusting = Trusting {
                identity: identity.clone(),
                domain,
                clock,
                soon: renewer.renew_soon(),
                renewals: renewer.status(),
                refusals: 0,
            };
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
