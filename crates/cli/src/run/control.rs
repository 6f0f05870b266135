//! Following the files: every batch of changes becomes a served configuration, files in the state
//! directory, and lines for people.

use std::{
    collections::HashSet,
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use weft_api::{ConditionStatus, Kind};
use weft_source::{Batch, Finding, Places, Severity, Watch};
use weft_translate::{Output, Status};

use super::{
    assemble::{Assembly, Settled},
    report,
    state::State,
    writer::Writer,
};
use crate::{clock, findings, status};

/// What is served, for whoever looks at it from outside.
#[derive(Clone, Debug, Default)]
pub(crate) struct View {
    /// Counts configurations.
    pub(crate) generation: u64,
    /// Files read.
    pub(crate) files: usize,
    /// Documents in them.
    pub(crate) documents: usize,
    /// Where everything listens.
    pub(crate) state: Arc<State>,
    /// Sockets that are to be open.
    pub(crate) sockets: usize,
    /// Tables, statuses and findings of translation.
    pub(crate) output: Output,
    /// Findings of the files.
    pub(crate) of_files: Arc<[Finding]>,
    /// What users should know about addresses and ports, since the start.
    pub(crate) remarks: Vec<String>,
}

/// What the threads of a run share.
#[derive(Debug)]
pub(crate) struct Shared {
    view: watch::Sender<Arc<View>>,
    places: Places,
}

impl Shared {
    /// What is served now.
    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// What is served, followed.
    pub(crate) fn follow(&self) -> watch::Receiver<Arc<View>> {
        self.view.subscribe()
    }

    /// Errors and warnings of now, sorted by place.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let view = self.view();
        findings::all(
            (&view.of_files, &view.output),
            &self.places,
            Severity::Warning,
        )
    }

    fn set(&self, view: View) {
        self.view.send_replace(Arc::new(view));
    }
}

/// The one owner of the assembly.
pub(crate) struct Control {
    assembly: Assembly,
    writer: Writer,
    shared: Arc<Shared>,
    tells: bool,
}

impl Control {
    /// Nothing is served yet.
    pub(crate) fn new(assembly: Assembly, writer: Writer, places: Places, tells: bool) -> Self {
        let shared = Arc::new(Shared {
            view: watch::Sender::default(),
            places,
        });
        Self {
            assembly,
            writer,
            shared,
            tells,
        }
    }

    /// What other threads may see.
    pub(crate) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Serves the first batch. Telling is left to the start report.
    pub(crate) fn first(&mut self, batch: Batch) {
        self.step(batch);
    }

    /// Follows the files on a thread of its own until `stop`.
    ///
    /// # Errors
    /// The system gives no thread or event queue.
    pub(crate) fn follow(
        mut self,
        mut watch: Watch,
        stop: CancellationToken,
    ) -> io::Result<JoinHandle<()>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    loop {
                        let batch = tokio::select! {
                            () = stop.cancelled() => break,
                            batch = watch.next() => batch,
                        };
                        let Some(batch) = batch else {
                            tracing::error!("files are no longer watched: restart to follow edits");
                            stop.cancelled().await;
                            break;
                        };
                        let before = self.shared.view();
                        let settled = self.step(batch);
                        if self.tells {
                            let after = self.shared.view();
                            let new = self.new_findings(&before, &after, &settled);
                            report::changed(&settled, &new);
                        }
                    }
                });
                self.writer.finish();
            })
    }

    /// One batch, all the way.
    fn step(&mut self, batch: Batch) -> Settled {
        let changed_at = clock::now();
        self.assembly.take(batch.events);
        let settled = self.assembly.settle(changed_at);
        self.assembly.count_rejections(&settled);
        let took = clock::now().saturating_duration_since(changed_at);
        tracing::info!(generation = settled.generation, ?took, "serving");
        self.publish(batch.findings, (batch.files, batch.documents), &settled);
        self.write(&settled);
        settled
    }

    fn publish(&self, of_files: Arc<[Finding]>, read: (usize, usize), settled: &Settled) {
        let before = self.shared.view();
        let sockets = self.assembly.sockets();
        let state = if settled.places_changed {
            Arc::new(State::of(sockets))
        } else {
            Arc::clone(&before.state)
        };
        let mut remarks = before.remarks.clone();
        remarks.extend(settled.remarks.iter().cloned());
        self.shared.set(View {
            generation: settled.generation,
            files: read.0,
            documents: read.1,
            state,
            sockets: sockets.wanted().len(),
            output: self.assembly.output().clone(),
            of_files,
            remarks,
        });
    }

    fn write(&self, settled: &Settled) {
        let statuses = settled.statuses.iter().map(|(object, status)| {
            let stored = self.assembly.store().get(object);
            (object.clone(), stored.zip(status.clone()))
        });
        let state = settled
            .places_changed
            .then(|| self.shared.view().state.clone());
        self.writer.put(statuses, state);
    }

    /// Findings that were not there before, located.
    fn new_findings(&self, before: &View, after: &View, settled: &Settled) -> Vec<Finding> {
        // Lines move with every edit above them; the same words in another file are another finding.
        let key = |finding: &Finding| {
            let file = finding.place.as_ref().map(|place| Arc::clone(&place.file));
            (finding.to_string(), file)
        };
        let known: HashSet<_> = before.of_files.iter().map(key).collect();
        let new = after.of_files.iter().filter(|it| !known.contains(&key(it)));
        let mut new: Vec<Finding> = new.cloned().collect();
        let mut notes = Vec::new();
        for of_object in &settled.notes {
            let object = of_object.first().map(|note| &note.object);
            let old = object.and_then(|object| before.output.notes.get(object));
            let is_new = |note: &&weft_translate::Note| !old.is_some_and(|old| old.contains(note));
            notes.extend(of_object.iter().filter(is_new));
        }
        new.extend(findings::of_notes(&notes, &self.shared.places));
        new
    }
}

impl Assembly {
    /// Counts objects that are refused or served in part since the last change.
    fn count_rejections(&self, settled: &Settled) {
        for (object, status) in &settled.statuses {
            if let Some(status) = status {
                for reason in rejections(status) {
                    self.metrics().rejected(Kind::as_str(object.kind), reason);
                }
            }
        }
    }
}

/// Reasons of the negative verdicts in a status, each once.
fn rejections(status: &Status) -> HashSet<&'static str> {
    let refused = status::conditions(status)
        .into_iter()
        .filter(|(_, condition)| condition.status == ConditionStatus::False)
        .filter(|(_, condition)| status::is_verdict(condition));
    refused
        .filter_map(|(_, condition)| status::reason(condition))
        .collect()
}
