//! The runner: it plays the stages of a file to a mesh and collects every row that does not hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
};

use serde_json::{Value, json};

use super::{
    Family, Mesh,
    client::{Client, Question, Seen, Speaks},
    judge::{arrival_faults, parent_name, seen_faults, status_faults},
    manifests::{Manifests, documents, full_name, number},
    pods::Pods,
    row::{Row, Stage, StatusRow, load},
};
use crate::wait::{PATIENCE, eventually};

/// Requests that shares are counted over, as in the official suite.
const MANY: usize = 500;
/// Percentage points a share may be off, as in the official suite.
const TOLERANCE: usize = 5;
/// Requests between two changes of a pod that comes and goes.
const CHURN: usize = 20;

/// Whether the pods of a world are members of the mesh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Membership {
    /// They are reached in the clear.
    Plain,
    /// They are reached through the tunnel.
    Members,
}

struct Run<'m, M> {
    mesh: &'m M,
    manifests: Manifests,
    pods: Pods,
}

/// Plays a file, on top of the world all files share, and says which rows do not hold.
///
/// # Panics
/// When a file is not well formed.
pub async fn failures(
    mesh: &impl Mesh,
    base: &Path,
    file: &Path,
    members: Membership,
) -> Vec<String> {
    let mut run = Run {
        mesh,
        manifests: Manifests::default(),
        pods: Pods::default(),
    };
    for object in documents(base) {
        run.manifests.put(object);
    }
    let mut failures = Vec::new();
    for stage in load(file) {
        run.change(&stage, members).await;
        for row in &stage.rows.rows {
            let found = run.row(row).await;
            let named = |failure| format!("{} [{}]: {failure}", row.row, row.clause);
            failures.extend(found.into_iter().map(named));
        }
        failures.extend(run.statuses(&stage.rows.statuses).await);
    }
    failures
}

impl<M: Mesh> Run<'_, M> {
    async fn change(&mut self, stage: &Stage, members: Membership) {
        for reference in &stage.delete {
            self.manifests.delete(reference);
        }
        for object in &stage.put {
            self.manifests.put(object.clone());
        }
        if members == Membership::Members {
            self.manifests.enrol();
        }
        self.pods.start(&self.manifests, self.mesh).await;
        self.apply(&self.manifests).await;
    }

    async fn apply(&self, manifests: &Manifests) {
        self.mesh.apply(&manifests.with_endpoints(&self.pods)).await;
    }

    /// The address that a row names, and the Host that clients of it send.
    fn address(&self, row: &Row) -> (SocketAddr, String) {
        if let Ok(address) = row.to.parse() {
            return (address, row.to.clone());
        }
        let family = row.over.unwrap_or(Family::IPv4);
        let (name, port) = row.to.rsplit_once(':').expect("an address with a port");
        let port: u16 = port.parse().expect("a port");
        if let Some(pod) = name.strip_prefix("pod ") {
            let address = self.pods.address(pod, family, port);
            return (address, address.to_string());
        }
        let service = self.manifests.get(&format!("Service {name}"));
        let (namespace, short) = name.split_once('/').expect("`namespace/name`");
        let host = match port {
            80 => format!("{short}.{namespace}"),
            _ => format!("{short}.{namespace}:{port}"),
        };
        let ips = [&service["spec"]["clusterIP"]].into_iter();
        let ips = ips.chain(
            service["spec"]["clusterIPs"]
                .as_array()
                .into_iter()
                .flatten(),
        );
        let mut ips = ips.filter_map(|ip| ip.as_str()?.parse().ok());
        let of_family = ips.find(|ip| Family::of(SocketAddr::new(*ip, port)) == family);
        let address = of_family.map_or_else(
            || self.resolved(service, family, port),
            |ip| SocketAddr::new(ip, port),
        );
        (address, host)
    }

    /// What the name of a headless Service resolves to.
    fn resolved(&self, service: &Value, family: Family, port: u16) -> SocketAddr {
        let ports = service["spec"]["ports"].as_array();
        let mut ports = ports.into_iter().flatten();
        let port = ports
            .find(|it| number(&it["port"]) == port)
            .expect("a port of the Service");
        let target = port.get("targetPort").unwrap_or(&port["port"]);
        let pod = self
            .manifests
            .selected(service)
            .next()
            .expect("a pod of the Service");
        self.pods.address(&full_name(pod), family, number(target))
    }

    async fn row(&self, row: &Row) -> Vec<String> {
        let (address, host) = self.address(row);
        let (question, all) = Question::of(row, &host);
        if !row.shares.is_empty() {
            return self.shares(row, address, &question, all[0]).await;
        }
        let mut failures = Vec::new();
        for speaks in all {
            let _of_earlier_rows = self.pods.take();
            let seen = match self.mesh.dial(&row.from, address).await {
                Ok(stream) => Client::over(stream, *speaks).await.ask(&question).await,
                Err(error) => Seen {
                    failure: Some(error.to_string()),
                    ..Seen::default()
                },
            };
            if !row.copies.is_empty() {
                let what = format!("{}: copies to {:?}", row.row, row.copies);
                eventually(PATIENCE, &what, || self.pods.has_reached(&row.copies)).await;
            }
            let mut arrivals = self.pods.take();
            let mut found = seen_faults(row, &question, *speaks, &seen);
            for copy in &row.copies {
                let at = arrivals.iter().position(|arrival| arrival.pod == *copy);
                arrivals.remove(at.expect("a copy was waited for"));
            }
            found.extend(arrival_faults(row.arrives.as_ref(), &question, &arrivals));
            failures.extend(
                found
                    .into_iter()
                    .map(|fault| format!("{speaks:?}: {fault}")),
            );
        }
        failures
    }

    async fn shares(
        &self,
        row: &Row,
        address: SocketAddr,
        question: &Question,
        speaks: Speaks,
    ) -> Vec<String> {
        let mut without = self.manifests.clone();
        if let Some(pod) = &row.churn {
            let mut leaving = without.get(&format!("Pod {pod}")).clone();
            leaving["metadata"]["annotations"]["does"] = json!("nothing yet");
            without.put(leaving);
        }
        let stream = self.mesh.dial(&row.from, address).await;
        let mut client = match stream {
            Ok(stream) => Client::over(stream, speaks).await,
            Err(error) => return vec![format!("no connection: {error}")],
        };
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for request in 0..MANY {
            if row.churn.is_some() && request % CHURN == 0 {
                let is_there = request / CHURN % 2 == 1;
                self.apply(if is_there { &self.manifests } else { &without })
                    .await;
            }
            let seen = client.ask(question).await;
            let who = match (seen.status, seen.grpc, &seen.failure) {
                (Some(200), None | Some(0), _) => seen.content,
                (Some(200), Some(grpc), _) => format!("grpc {grpc}"),
                (Some(status), ..) => status.to_string(),
                (None, _, failure) => format!("{failure:?}"),
            };
            *counts.entry(who).or_default() += 1;
        }
        let mut faults = Vec::new();
        for (who, percent) in &row.shares {
            let count: usize = who.split(" or ").filter_map(|one| counts.remove(one)).sum();
            let is_near = (count * 100).abs_diff(percent * MANY) <= TOLERANCE * MANY;
            let is_exact = [0, 100].contains(percent);
            if !is_near || is_exact && count * 100 != percent * MANY {
                faults.push(format!("{who} gets {count} of {MANY}, not {percent} %"));
            }
        }
        if !counts.is_empty() {
            faults.push(format!("others get {counts:?}"));
        }
        faults
    }

    /// Statuses that rows name, and all others, which have to be good.
    async fn statuses(&self, rows: &[StatusRow]) -> Vec<String> {
        let mut failures = Vec::new();
        let mut met = BTreeSet::new();
        for object in self.manifests.objects() {
            let kind = object["kind"].as_str().unwrap_or_default();
            if !kind.ends_with("Route") {
                continue;
            }
            let route = super::manifests::reference(object);
            let status = self.mesh.status(&route).await.unwrap_or_default();
            let parents = status["parents"].as_array().cloned().unwrap_or_default();
            let asked = object["spec"]["parentRefs"].as_array().map_or(0, Vec::len);
            if parents.len() != asked {
                failures.push(format!(
                    "{route}: {} of {asked} parents have a status",
                    parents.len()
                ));
            }
            for parent in &parents {
                let under = parent_name(&parent["parentRef"]);
                let row = rows
                    .iter()
                    .find(|row| row.route == route && row.under == under);
                met.extend(row.map(|row| (&row.route, &row.under)));
                let what = match row {
                    Some(row) => format!("{} [{}]: {route} under {under}", row.row, row.clause),
                    None => format!("{route} under {under}, of which no row says a word"),
                };
                let faults = status_faults(row, parent, &object["metadata"]["generation"]);
                failures.extend(faults.into_iter().map(|fault| format!("{what}: {fault}")));
            }
        }
        for row in rows
            .iter()
            .filter(|row| !met.contains(&(&row.route, &row.under)))
        {
            let StatusRow {
                row, route, under, ..
            } = row;
            failures.push(format!("{row} []: {route} has no status under {under}"));
        }
        failures
    }
}
