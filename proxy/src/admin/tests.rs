//! What can be changed by way of the admin endpoint, and by whom.

use std::sync::{Arc, Mutex};

use weft_telemetry::logging::{self, Format};

use super::{Admin, MetricsText, State, ask};

/// Remembers what its workers were told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl State for Told {
    fn metrics(&self) -> MetricsText<'_> {
        Box::pin(std::future::ready(String::new()))
    }

    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    fn config(&self) -> String {
        String::new()
    }

    fn log(&self, filter: &str) -> Result<(), String> {
        let mut told = self.0.lock().expect("nobody panics");
        told.push(filter.to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn whoever_may_open_the_socket_changes_what_is_logged() {
    // Another test of this process may have been first.
    let _logs = logging::init(Format::Text, "off");
    let directory = tempfile::tempdir().expect("a directory");
    let state = Arc::new(Told::default());
    let admin = Admin::bind_socket(directory.path()).expect("a socket");
    let serving = tokio::spawn(admin.serve(Arc::clone(&state) as Arc<dyn State>));
    let asked = |value: Option<&'static str>| {
        let state_dir = directory.path().to_owned();
        tokio::task::spawn_blocking(move || match value {
            Some(value) => ask::set(&state_dir, "/log", value),
            None => ask::ask(&state_dir, "/log"),
        })
    };
    for (name, value, expected) in [
        ("a level", Some("error"), Ok("error\n")),
        ("what it is now", None, Ok("error\n")),
        ("no level", Some("weft=loud"), Err("weft=loud")),
        ("as it was", None, Ok("error\n")),
        ("nothing more", Some("off"), Ok("off\n")),
    ] {
        let answer = asked(value).await.expect("it ran");
        match (answer, expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, expected.as_bytes(), "{name}"),
            (Err(error), Err(part)) => {
                let error = error.to_string();
                assert!(error.contains(part), "{name}: {error}");
            }
            (answer, _) => panic!("{name}: {answer:?}"),
        }
    }
    let told = state.0.lock().expect("nobody panics").clone();
    assert_eq!(told, ["error", "off"], "workers hear of good filters alone");
    serving.abort();
}
