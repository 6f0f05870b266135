//! The watch of one kind: list, watch from there, go on after interruptions, list again when the
//! way is lost. It never ends by itself unless the kind is not served.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use kube::core::params::{ListParams, WatchParams};
use tokio::sync::mpsc::Sender;
use weft_api::Kind;

use super::clock::instant;
use super::cluster::{ApiError, Cluster, Limits};
use super::item::{Line, Page, Served};
use super::known::{Delta, Known, Listing};
use super::lines::Lines;
use super::pace::Backoff;
use super::settings::WatchOptions;
use super::trouble::Trouble;

/// Most bytes of a page, and of a list in one piece.
const PAGE_MAX_BYTES: usize = 64 * 1024 * 1024;
const LIST_MAX_BYTES: usize = 512 * 1024 * 1024;
/// Objects on a page are divided by this when a page is too large.
const PAGE_SHRINK: u32 = 8;
/// So many watches that fail in a row, and everything is listed again.
const WATCH_FAILURES_MAX: u32 = 3;
/// So many failures in a row, and people are told.
pub(super) const FAILURES_TOLD: u32 = 2;
/// So many if the last is a forgotten version: after a change of a CRD, and after its own start, an API
/// server forgets what it had listed a moment ago, and the next list mends it.
const EXPIRED_TOLD: u32 = 4;

/// Changes on their way from the watches to the one who assembles them.
pub(super) type Deltas = Sender<Vec<Delta>>;

/// Why a watch of a kind has ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The API server does not serve it at this path.
    NotServed,
    /// Nobody listens any more.
    Unwanted,
}

/// What to do after something went wrong.
#[derive(Debug)]
enum Next {
    List,
    Watch,
}

/// The watch of one kind.
pub(super) struct KindWatch {
    cluster: Cluster,
    options: Arc<WatchOptions>,
    deltas: Deltas,
    known: Known,
    kind: Kind,
    backoff: Backoff,
    /// Whether people were told that the kind cannot be read.
    is_told: bool,
    /// Objects per page; 0 lists everything in one piece.
    page_size: u32,
}

impl KindWatch {
    pub(super) fn new(
        cluster: Cluster,
        options: Arc<WatchOptions>,
        deltas: Deltas,
        kind: Kind,
    ) -> Self {
        Self {
            known: Known::new(kind),
            backoff: Backoff::new(options.retry),
            page_size: options.page_size,
            cluster,
            options,
            deltas,
            kind,
            is_told: false,
        }
    }

    /// Watches until the kind is not served any more. Dropping the future loses no change: what is
    /// counted as known was handed over.
    pub(super) async fn run(&mut self, served: &Served) -> Ended {
        let mut next = Next::List;
        loop {
            let result = match next {
                Next::List => self.list(served).await,
                Next::Watch => self.watch(served).await,
            };
            let trouble = match result {
                Ok(()) => {
                    if self.worked().await.is_err() {
                        return Ended::Unwanted;
                    }
                    next = Next::Watch;
                    continue;
                }
                Err(trouble) => trouble,
            };
            next = match trouble {
                Trouble::Unwanted => return Ended::Unwanted,
                // Told like any other trouble, should the catalogue say that it is served.
                Trouble::Api(ref error) if error.is_not_found() => {
                    return match self.failed(&trouble).await {
                        Ok(()) => Ended::NotServed,
                        Err(_) => Ended::Unwanted,
                    };
                }
                ref trouble if trouble.needs_list() => Next::List,
                ref trouble
                    if trouble.was_reached() && self.backoff.failures() >= WATCH_FAILURES_MAX =>
                {
                    Next::List
                }
                _ => next,
            };
            if self.failed(&trouble).await.is_err() {
                return Ended::Unwanted;
            }
        }
    }

    /// The kind is not served: its objects are gone.
    pub(super) async fn not_served(&mut self) -> Result<(), Trouble> {
        let permit = self.deltas.reserve().await?;
        let mut deltas = self.known.clear();
        deltas.push(Delta::Settled(self.kind));
        deltas.push(Delta::Trouble(Some(self.kind), None));
        self.is_told = false;
        self.backoff.worked();
        permit.send(deltas);
        Ok(())
    }

    async fn list(&mut self, served: &Served) -> Result<(), Trouble> {
        let mut listing = Listing::default();
        let mut next = None;
        loop {
            let page = self.page(served, next.take()).await?;
            next.clone_from(&page.next);
            let permit = self.deltas.reserve().await?;
            let deltas = self.known.page(&mut listing, page)?;
            permit.send(deltas);
            if next.is_none() {
                self.page_size = self.options.page_size;
                return Ok(());
            }
        }
    }

    async fn page(&mut self, served: &Served, next: Option<String>) -> Result<Page, Trouble> {
        let parameters = ListParams {
            limit: (self.page_size > 0).then_some(self.page_size),
            continue_token: next.clone(),
            ..ListParams::default()
        };
        let request = kube::core::Request::new(served.path("")).list(&parameters);
        let limits = Limits {
            time: self.options.request_timeout,
            bytes: if self.page_size > 0 {
                PAGE_MAX_BYTES
            } else {
                LIST_MAX_BYTES
            },
        };
        let request = request.map_err(ApiError::from)?;
        let answer = self.cluster.fetch(request, limits).await;
        match &answer {
            // The list took longer than the API server remembers its state: ask for all at once.
            Err(error) if error.is_gone() && next.is_some() => self.page_size = 0,
            Err(ApiError::TooLarge(_)) => {
                let size = if self.page_size > 0 {
                    self.page_size
                } else {
                    self.options.page_size
                };
                self.page_size = (size / PAGE_SHRINK).max(1);
            }
            _ => {}
        }
        let answer = answer?;
        let page = Page::decode(served, answer.body()).map_err(ApiError::Unreadable)?;
        if page.version.is_empty() {
            return Err(Trouble::NoVersion);
        }
        Ok(page)
    }

    /// One request's worth of watching. That it ends is no failure, that it ends at once is.
    async fn watch(&mut self, served: &Served) -> Result<(), Trouble> {
        let options = Arc::clone(&self.options);
        let request = watch_request(&served.path(""), None, self.known.resume(), &options)?;
        // Whatever trickles in between: a watch that outlives its end is dead.
        let deadline = instant() + options.watch_timeout + options.watch_grace;
        let silent = |_| ApiError::Silent(options.watch_timeout + options.watch_grace);
        let opened = tokio::time::timeout_at(deadline, self.cluster.send(request)).await;
        let mut lines = Lines::new(opened.map_err(silent)??.into_body());
        let mut lines_seen = 0_u32;
        loop {
            let line = tokio::time::timeout_at(deadline, lines.next()).await;
            let Some(line) = line.map_err(silent)?? else {
                let is_early = instant() + options.watch_timeout < deadline;
                return match (is_early, lines_seen) {
                    (true, 0) => Err(Trouble::ClosedAtOnce),
                    (true, _) => {
                        tokio::time::sleep(options.jitter.spread(options.retry.first)).await;
                        Ok(())
                    }
                    (false, _) => Ok(()),
                };
            };
            // Lines that came together go together.
            let permit = self.deltas.reserve().await?;
            let mut deltas = Vec::new();
            let mut taken = take(&mut self.known, served, &line, &mut deltas);
            while taken.is_ok()
                && let Some(line) = lines.buffered()
            {
                taken = take(&mut self.known, served, &line, &mut deltas);
            }
            if deltas.is_empty() {
                drop(permit);
            } else {
                permit.send(deltas);
            }
            taken?;
            lines_seen += 1;
            if self.backoff.failures() > 0 {
                self.worked().await?;
            }
        }
    }

    async fn worked(&mut self) -> Result<(), Trouble> {
        self.backoff.worked();
        if self.is_told {
            self.deltas
                .send(vec![Delta::Trouble(Some(self.kind), None)])
                .await?;
            self.is_told = false;
            tracing::info!(kind = %self.kind, "read again from the API server");
        }
        Ok(())
    }

    /// Waits, and says so when it is not the first time.
    async fn failed(&mut self, trouble: &Trouble) -> Result<(), Trouble> {
        let options = &self.options;
        let mut wait = self.backoff.failed(
            trouble.was_reached(),
            trouble.retry_after(),
            &options.jitter,
        );
        if trouble.needs_list() {
            wait += options.jitter.up_to(options.relist_spread);
        }
        tracing::debug!(kind = %self.kind, %trouble, ?wait, "the watch was interrupted");
        let told_after = match trouble.is_expired() {
            true => EXPIRED_TOLD,
            false => FAILURES_TOLD,
        };
        let is_old_news = self.is_told || self.backoff.failures() < told_after;
        if trouble.is_forbidden() || !is_old_news {
            if !self.is_told {
                tracing::warn!("{}", trouble.finding(Some(self.kind)));
            }
            let finding = Some(trouble.finding(Some(self.kind)));
            self.deltas
                .send(vec![Delta::Trouble(Some(self.kind), finding)])
                .await?;
            self.is_told = true;
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// Takes a line of a watch, and adds what it changes.
fn take(
    known: &mut Known,
    served: &Served,
    line: &[u8],
    deltas: &mut Vec<Delta>,
) -> Result<(), Trouble> {
    if line.is_empty() {
        return Ok(());
    }
    let line = Line::decode(served, line).map_err(ApiError::Unreadable)?;
    if let Line::Error(status) = line {
        return Err(Trouble::Api(ApiError::from_status(status, None)));
    }
    deltas.extend(known.event(line)?);
    Ok(())
}

/// Asks for a watch, of all objects at a path or of one by name.
pub(super) fn watch_request(
    path: &str,
    name: Option<&str>,
    version: &str,
    options: &WatchOptions,
) -> Result<Request<Vec<u8>>, ApiError> {
    // Ends are spread as well, lest all watches are opened again together.
    let spread = options.jitter.up_to(options.watch_timeout / 10);
    let seconds = (options.watch_timeout - spread)
        .max(Duration::from_secs(1))
        .as_secs();
    let parameters = WatchParams {
        field_selector: name.map(|name| format!("metadata.name={name}")),
        timeout: u32::try_from(seconds).ok(),
        bookmarks: true,
        ..WatchParams::default()
    };
    Ok(kube::core::Request::new(path).watch(&parameters, version)?)
}
