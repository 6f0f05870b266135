//! `weft demo --once`: every claim of the demo, checked.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{
    client::{Answer, Client, ClientError},
    traffic::{Counts, Traffic, Way},
    world::World,
};
use crate::{
    clock,
    exit::{Exit, Failure},
    output,
};

/// Shares the canary goes through, in percent.
pub(super) const STEPS: [u8; 6] = [0, 10, 25, 50, 75, 100];
/// Requests per way and step that are counted.
const SAMPLE: u32 = 1000;
/// How far a share may be from its weight, in standard deviations of independent draws: a fair split
/// is further off once in two million steps.
const DEVIATIONS: f64 = 5.0;
/// Longest time from an edit to its effect.
const EFFECT: Duration = Duration::from_secs(2);

/// Goes through everything; the first mismatch is the result.
///
/// # Errors
/// The mismatch, by name.
pub(super) async fn run(world: &mut World, quiet: bool) -> Result<Exit, Failure> {
    let started = clock::now();
    let mut log = Log { quiet };
    single_requests(world, &mut log).await?;
    let pause = Duration::from_millis(5);
    let traffic = Traffic::start(world.gateway, world.mesh, 2, pause);
    for percent in STEPS {
        canary(world, percent, &mut log).await?;
    }
    let mut sent = 0;
    for way in Way::ALL {
        let counts = traffic.of(way);
        if let Some(failure) = counts.first_failure() {
            let failed = counts.tally().failed;
            return Err(Failure::errors(format!(
                "requests during the canary ({}): expected 0 to fail, {failed} did, the first with: \
                 {failure}",
                way.as_str()
            )));
        }
        sent += counts.tally().answered();
    }
    log.ok(
        "no request lost",
        format!("0 of {sent} requests failed while the weights moved"),
    )?;
    let took = clock::now()
        .saturating_duration_since(started)
        .as_secs_f64();
    log.line(&format!("everything is as the YAML says ({took:.1} s)"))?;
    Ok(Exit::Good)
}

struct Log {
    quiet: bool,
}

impl Log {
    fn ok(&mut self, name: &str, found: impl AsRef<str>) -> Result<(), Failure> {
        self.line(&format!("ok  {name:<32} {}", found.as_ref()))
    }

    fn line(&self, line: &str) -> Result<(), Failure> {
        if self.quiet {
            return Ok(());
        }
        Ok(output::print(&format!("{line}\n"))?)
    }
}

/// One request and what must come back.
struct Claim {
    name: &'static str,
    way: Entrance,
    path: &'static str,
    field: Option<(&'static str, &'static str)>,
    expected: Expected,
}

/// Where a request goes in.
#[derive(Clone, Copy)]
enum Entrance {
    Gateway,
    Mesh,
    MeshForPay,
}

enum Expected {
    /// This backend answers.
    Backend(&'static str),
    /// This backend answers and has seen this tenant.
    Tenant(&'static str, &'static str),
    /// A redirect to a path of the same host.
    Redirect(u16, &'static str),
}

const CANARY: Option<(&str, &str)> = Some(("x-env", "canary"));

const CLAIMS: &[Claim] = &[
    Claim {
        name: "gateway, stable version",
        way: Entrance::Gateway,
        path: "/",
        field: None,
        expected: Expected::Backend("web-v1"),
    },
    Claim {
        name: "gateway, by path",
        way: Entrance::Gateway,
        path: "/api/orders?id=7",
        field: None,
        expected: Expected::Backend("api"),
    },
    Claim {
        name: "gateway, by header",
        way: Entrance::Gateway,
        path: "/",
        field: CANARY,
        expected: Expected::Backend("web-v2"),
    },
    Claim {
        name: "gateway, redirect",
        way: Entrance::Gateway,
        path: "/old",
        field: None,
        expected: Expected::Redirect(301, "/new"),
    },
    Claim {
        name: "mesh, stable version",
        way: Entrance::Mesh,
        path: "/",
        field: None,
        expected: Expected::Backend("web-v1"),
    },
    Claim {
        name: "mesh, by header",
        way: Entrance::Mesh,
        path: "/",
        field: CANARY,
        expected: Expected::Backend("web-v2"),
    },
    Claim {
        name: "mesh, consumer route of pay",
        way: Entrance::MeshForPay,
        path: "/",
        field: None,
        expected: Expected::Tenant("web-v1", "pay"),
    },
    Claim {
        name: "mesh, consumer route only there",
        way: Entrance::MeshForPay,
        path: "/",
        field: CANARY,
        expected: Expected::Tenant("web-v1", "pay"),
    },
];

async fn single_requests(world: &World, log: &mut Log) -> Result<(), Failure> {
    for claim in CLAIMS {
        let mut client = client(world, claim.way);
        let found = client.get(claim.path, claim.field).await;
        let found = verify(claim, found).map_err(|mismatch| {
            Failure::errors(format!("{} (GET {}): {mismatch}", claim.name, claim.path))
        })?;
        log.ok(claim.name, found)?;
    }
    Ok(())
}

fn client(world: &World, entrance: Entrance) -> Client {
    match entrance {
        Entrance::Gateway => Client::new(world.gateway, "shop.example"),
        Entrance::Mesh => Client::new(world.mesh, "web.shop"),
        Entrance::MeshForPay => Client::new(world.mesh_for_pay, "web.shop"),
    }
}

/// What was found, in words, or how it differs from what was expected.
fn verify(claim: &Claim, found: Result<Answer, ClientError>) -> Result<String, String> {
    let answer = found.map_err(|error| format!("expected an answer: {error}"))?;
    let shown = format!("{} {}", answer.status, answer.body);
    let wanted = |what: String| format!("expected {what}, found {shown:?}");
    match claim.expected {
        Expected::Backend(name) => {
            let right = answer.status == 200 && answer.served_by.as_deref() == Some(name);
            let path = answer.body.contains(claim.path);
            if right && path && answer.tenant.is_none() {
                Ok(answer.body)
            } else {
                Err(wanted(format!("{name} to answer the same path")))
            }
        }
        Expected::Tenant(name, tenant) => {
            let right = answer.served_by.as_deref() == Some(name);
            if right && answer.tenant.as_deref() == Some(tenant) {
                Ok(answer.body)
            } else {
                Err(wanted(format!("{name} to see the tenant {tenant}")))
            }
        }
        Expected::Redirect(status, path) => {
            let location = answer.location.unwrap_or_default();
            let is_there = location.strip_prefix("http://shop.example");
            let is_there = is_there.is_some_and(|rest| rest.ends_with(path));
            if answer.status == status && is_there {
                Ok(format!("{status} to {location}"))
            } else {
                Err(format!(
                    "{}, location {location:?}",
                    wanted(format!("{status} to {path}"))
                ))
            }
        }
    }
}

/// Moves the canary and counts where requests go.
async fn canary(world: &mut World, percent: u8, log: &mut Log) -> Result<(), Failure> {
    let effect = world.set_canary(percent).await?;
    if effect > EFFECT {
        return Err(Failure::errors(format!(
            "canary {percent} %: expected the edit to act within {EFFECT:?}, it took {effect:?}"
        )));
    }
    let mut shares = Vec::new();
    for way in Way::ALL {
        let entrance = match way {
            Way::Gateway => Entrance::Gateway,
            Way::Mesh => Entrance::Mesh,
        };
        let (mut client, counts) = (client(world, entrance), Counts::default());
        for _ in 0..SAMPLE {
            counts.add(client.get("/", None).await);
        }
        let failure = counts.first_failure();
        let share = counts.tally().canary_percent().unwrap_or_default();
        if let Some(failure) = failure {
            return Err(Failure::errors(format!(
                "canary {percent} % ({}): {failure}",
                way.as_str()
            )));
        }
        if (share - f64::from(percent)).abs() > tolerance(percent) {
            return Err(Failure::errors(format!(
                "canary {percent} % ({}): expected {percent} ± {:.1} % of {SAMPLE} requests at the \
                 canary, found {share:.1} %",
                way.as_str(),
                tolerance(percent)
            )));
        }
        shares.push(format!("{} {share:.1} %", way.as_str()));
    }
    let effect = match effect {
        Duration::ZERO => "from the start".to_owned(),
        effect => format!("{} ms after the edit", effect.as_millis()),
    };
    let (shares, within) = (shares.join(", "), tolerance(percent));
    let found = format!("{shares} (allowed ± {within:.1} %), {effect}");
    log.ok(&format!("canary at {percent} %"), found)
}

/// Allowed distance in percentage points; none at 0 and 100 %, which are promises, not shares.
fn tolerance(percent: u8) -> f64 {
    let share = f64::from(percent) / 100.0;
    DEVIATIONS * (share * (1.0 - share) / f64::from(SAMPLE)).sqrt() * 100.0
}
