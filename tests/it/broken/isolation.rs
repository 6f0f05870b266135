//! Ten thousand broken objects, through files and straight into the store: the good ones keep their
//! tables, statuses, findings, endpoints and answers, and nothing panics.
//!
//! `SEED=n cargo test -p weft-tests broken::isolation` repeats a run; a failure names its seed and is
//! shrunk.

use std::{
    collections::BTreeSet,
    fs,
    hash::{BuildHasher, RandomState},
    path::Path,
    sync::Arc,
};

use proptest::{
    prelude::{ProptestConfig, Strategy},
    test_runner::{RngSeed, TestCaseError, TestError, TestRunner},
};
use serde_json::Value;
use weft_api::{AnyObject, Kind, ObjectRef, reference::ParentReference};
use weft_source::{Batch, Event, Loader, Options, Severity};
use weft_store::Store;
use weft_tests::fixture::Fixture;
use weft_translate::{Output, Translator, translate};

use super::{
    mutation::{Broken, broken, seeds},
    text::{Writing, writing},
    world::{self, Picture},
};
use crate::golden::laws;

/// Broken objects of each of the two tests.
const OBJECTS: usize = 10_000;
/// Most of them at once.
const AT_ONCE: usize = 200;

/// Runs cases until there were enough objects; `check` says how many a case had.
fn run<S: Strategy>(strategy: &S, check: impl Fn(S::Value) -> Result<usize, TestCaseError>) {
    let given = std::env::var("SEED").ok();
    let seed = given.map_or_else(
        || RandomState::new().hash_one(0),
        |seed| seed.parse().expect("SEED is a number"),
    );
    let mut runner = TestRunner::new(ProptestConfig {
        // Cases have half of the most on average.
        cases: u32::try_from(OBJECTS * 5 / 2 / AT_ONCE).expect("a small number"),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_time: 120_000,
        ..ProptestConfig::default()
    });
    let objects = std::cell::Cell::new(0);
    let outcome = runner.run(strategy, |case| {
        if objects.get() < OBJECTS {
            objects.set(objects.get() + check(case)?);
        }
        Ok(())
    });
    if let Err(TestError::Fail(reason, case)) = outcome {
        panic!("{reason}\nwith SEED={seed}, the least case is {case:#?}");
    }
    assert!(
        objects.get() >= OBJECTS,
        "{} objects are less than {OBJECTS}; SEED={seed}",
        objects.get()
    );
}

fn fail(reason: String) -> TestCaseError {
    TestCaseError::fail(reason)
}

/// The good world alone.
struct Good {
    fixture: Fixture,
    names: BTreeSet<ObjectRef>,
    picture: Picture,
    /// As the source hands them out: with the defaults of an API server.
    loaded: Store,
    loaded_picture: Picture,
}

impl Good {
    fn new() -> Self {
        let (fixture, names) = world::good();
        let store = fixture.store();
        let output = translate(&store, &fixture.scope);
        let picture = Picture::new((&fixture, &names), &store, &output);
        assert!(
            picture.size().iter().all(|size| *size > 2),
            "the good world is too small: {:?}",
            picture.size()
        );
        let directory = tempfile::tempdir().expect("a temporary directory");
        write_good(directory.path());
        let loaded = store_of(&load(directory.path()).0);
        let output = translate(&loaded, &fixture.scope);
        let loaded_picture = Picture::new((&fixture, &names), &loaded, &output);
        Self {
            fixture,
            names,
            picture,
            loaded,
            loaded_picture,
        }
    }

    /// Gives an object the name of a good one of its kind, if there is one.
    fn impersonate(&self, object: &mut Value) {
        let is_kind = |name: &&ObjectRef| object["kind"] == name.kind.as_str();
        if let Some(name) = self.names.iter().find(is_kind)
            && object["metadata"].is_object()
        {
            object["metadata"]["name"] = name.key.name().into();
            object["metadata"]["namespace"] = name.key.namespace().into();
        }
    }

    fn picture(&self, store: &Store, output: &Output) -> Picture {
        Picture::new((&self.fixture, &self.names), store, output)
    }
}

/// Whatever the source would say about them: objects may come from an API server of another version.
#[test]
fn broken_objects_in_the_store_change_nothing_for_good_ones() {
    let (good, seeds) = (Good::new(), seeds());
    run(&broken(AT_ONCE), |case: Vec<Broken>| {
        let objects = case.iter().enumerate();
        let objects: Vec<AnyObject> = objects
            .filter_map(|(index, one)| AnyObject::parse(one.object(&seeds, index)).ok())
            .filter(|object| !good.names.contains(&object.reference()))
            .collect();
        in_the_store(&good, &objects).map_err(fail)?;
        Ok(case.len())
    });
}

fn in_the_store(good: &Good, objects: &[AnyObject]) -> Result<(), String> {
    let scope = &good.fixture.scope;
    let (mut translator, mut store) = (Translator::default(), good.fixture.store());
    let before = translator.translate(&store, scope);
    let picture = good.picture(&store, &before);
    for object in objects {
        store.apply(object.clone());
    }
    let mixed = translator.translate(&store, scope);
    let found = good.picture(&store, &mixed);
    found.difference(&good.picture).map_or(Ok(()), Err)?;
    if let Some(part) = found.recompiled(&picture) {
        return Err(format!("{part} was compiled again"));
    }
    if translate(&store, scope) != mixed {
        return Err("a new translator says something else".to_owned());
    }
    statuses_are_right(&store, &mixed)?;
    for object in objects {
        store.delete(&object.reference());
    }
    let after = translator.translate(&store, scope);
    if after != before {
        return Err("something stays of objects that are gone".to_owned());
    }
    Ok(())
}

/// Statuses say what the tables do, in words of the specification, about every route that names a
/// parent of ours.
fn statuses_are_right(store: &Store, output: &Output) -> Result<(), String> {
    let (mut accepted, mut served) = laws::accepted_and_served(output);
    for object in store.iter() {
        let (parents, rules) = match &object {
            AnyObject::HttpRoute(route) => (&route.spec.parent_refs, route.spec.rules.len()),
            AnyObject::GrpcRoute(route) => (&route.spec.parent_refs, route.spec.rules.len()),
            _ => continue,
        };
        let reference = object.reference();
        if rules == 0 {
            // Nothing has to be served of it, and an HTTPRoute may have its default rule.
            accepted.remove(&reference.to_string());
            served.remove(&reference.to_string());
        }
        let is_ours = |parent: &ParentReference| {
            let default = parent.kind.is_none() && parent.group.is_none();
            default && parent.name == "edge" && parent.namespace.as_deref() == Some("infra")
        };
        if parents.iter().any(is_ours) && !output.statuses.contains_key(&reference) {
            return Err(format!("{reference} has no status"));
        }
    }
    if accepted != served {
        return Err(format!("accepted are {accepted:?}, served {served:?}"));
    }
    laws::forbidden_reason(output).map_or(Ok(()), Err)
}

/// As files beside those of the good world, each in a file of its own.
#[test]
fn broken_files_change_nothing_for_good_ones() {
    let (good, seeds) = (Good::new(), seeds());
    let one = (broken(1), writing());
    let files = proptest::collection::vec(one, 1..=AT_ONCE);
    run(&files, |case: Vec<(Vec<Broken>, Writing)>| {
        let written = case.iter().enumerate().map(|(index, (broken, writing))| {
            let mut object = broken[0].object(&seeds, index);
            if index % 4 == 0 {
                good.impersonate(&mut object);
            }
            let bytes = writing.write(&object);
            (object, writing.is_whole(), bytes)
        });
        let written: Vec<_> = written.collect();
        in_files(&good, &written).map_err(fail)?;
        Ok(case.len())
    });
}

fn in_files(good: &Good, written: &[(Value, bool, Vec<u8>)]) -> Result<(), String> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    write_good(directory.path());
    for (index, (_, _, bytes)) in written.iter().enumerate() {
        let path = directory.path().join(format!("broken-{index}.yaml"));
        fs::write(path, bytes).expect("a broken file");
    }
    let (batch, loader) = load(directory.path());
    let store = store_of(&batch);
    for name in &good.names {
        if store.get(name) != good.loaded.get(name) {
            return Err(format!("{name} is not what its file says"));
        }
    }
    let output = translate(&store, &good.fixture.scope);
    let found = good.picture(&store, &output);
    found.difference(&good.loaded_picture).map_or(Ok(()), Err)?;
    statuses_are_right(&store, &output)?;
    nothing_vanishes(written, &batch, &loader)
}

fn store_of(batch: &Batch) -> Store {
    let mut store = Store::default();
    for event in &batch.events {
        if let Event::Apply(object) = event {
            store.apply(object.clone());
        }
    }
    store
}

fn write_good(directory: &Path) {
    for (name, text) in world::files() {
        fs::write(directory.join(name), text).expect("a good file");
    }
}

fn load(directory: &Path) -> (Batch, Loader) {
    let roots = [directory.to_owned()];
    let mut loader = Loader::new(&roots, Options::default()).expect("the directory");
    let batch = loader.load(&mut |_| {}).expect("the files");
    (batch, loader)
}

/// Every file is served or has a finding that says where and what to do.
fn nothing_vanishes(
    written: &[(Value, bool, Vec<u8>)],
    batch: &Batch,
    loader: &Loader,
) -> Result<(), String> {
    let mut spoken_for = BTreeSet::new();
    for finding in batch.findings.iter() {
        let Some(place) = &finding.place else {
            return Err(format!("{finding} has no place"));
        };
        if finding.severity == Severity::Error && (finding.cure.is_empty() || place.line == 0) {
            return Err(format!("{finding} has no cure or no line"));
        }
        spoken_for.insert(Arc::clone(&place.file));
    }
    let places = loader.places();
    for event in &batch.events {
        if let Event::Apply(object) = event {
            let place = places.locate(&object.reference(), "");
            spoken_for.extend(place.map(|place| place.file));
        }
    }
    for (index, (object, whole, bytes)) in written.iter().enumerate() {
        let name = format!("broken-{index}.yaml");
        let known = spoken_for.iter().any(|path| path.ends_with(&name));
        // Kinds of other software are counted together, in one finding at the first of them.
        let may_be_foreign = if *whole {
            is_foreign(object)
        } else {
            mentions_foreign(batch)
        };
        if !known && !may_be_foreign {
            let text = String::from_utf8_lossy(bytes);
            return Err(format!(
                "{name} is neither served nor complained about:\n{text}"
            ));
        }
    }
    Ok(())
}

fn is_foreign(object: &Value) -> bool {
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let group = version.rsplit_once('/').map_or("", |(group, _)| group);
    Kind::find(group, &kind).is_none()
}

fn mentions_foreign(batch: &Batch) -> bool {
    batch.findings.iter().any(|finding| finding.code == "WA125")
}
