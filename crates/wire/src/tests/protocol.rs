//! The protocol under any interleaving of changes, deliveries, losses and new streams.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*};

use super::world::{Builder, World, worlds};
use crate::{
    Assembler, Configuration, Disassembler, Identity, Publisher, Received, Scope, Session,
    Subscriber,
    proto::config::{self as message, client_message},
};

#[derive(Clone, Debug)]
enum Step {
    /// The next configuration is there.
    Publish,
    /// The publisher is asked for what to send.
    Send,
    /// A message of some stream reaches the subscriber, or the publisher.
    Down(usize),
    Up(usize),
    /// The stream is lost, and the subscriber opens another one.
    Reconnect,
    /// The publisher hears that some stream ended.
    HearEnd(usize),
    /// The subscriber process starts again, with what it saved.
    Restart,
}

/// A stream, dead or alive, with what is on its way.
struct Stream {
    /// `None` if the process that opened it is gone.
    client: Option<Session>,
    server: Option<Session>,
    down: VecDeque<message::ServerMessage>,
    up: VecDeque<message::ClientMessage>,
}

struct Network {
    now: Duration,
    publisher: Publisher,
    subscriber: Subscriber,
    streams: Vec<Stream>,
    disassembler: Disassembler,
    /// Configurations by generation.
    published: Vec<Configuration>,
}

fn identity() -> Identity {
    Identity {
        role: message::Role::Gateway,
        name: "gw0".to_owned(),
        namespace: "infra".to_owned(),
        instance: "pod-1".to_owned(),
    }
}

impl Network {
    fn new(now: Duration) -> Self {
        let mut network = Self {
            now,
            publisher: Publisher::new(),
            subscriber: Subscriber::new(identity(), Assembler::default()),
            streams: Vec::new(),
            disassembler: Disassembler::new(Scope::Everything),
            published: Vec::new(),
        };
        network.reconnect();
        network
    }

    fn publish(&mut self, configuration: Configuration) {
        let snapshot = self.disassembler.update(&configuration).clone();
        self.publisher
            .publish(self.published.len() as u64, snapshot);
        self.published.push(configuration);
    }

    fn reconnect(&mut self) {
        // Answers may still arrive; a stream that was never taken is refused.
        if let Some(last) = self.streams.last_mut().filter(|last| last.server.is_none()) {
            last.up.clear();
        }
        let (client, hello) = self.subscriber.connect();
        self.streams.push(Stream {
            client: Some(client),
            server: None,
            down: VecDeque::new(),
            up: VecDeque::from([hello]),
        });
    }

    /// The stream that the publisher holds for the present one.
    fn send(&mut self) -> bool {
        let Some(sent) = self.publisher.next(self.now) else {
            return false;
        };
        assert!(
            self.publisher.next(self.now).is_none(),
            "one delta is in flight at most"
        );
        let stream = self.streams.iter_mut().rev().find(|it| it.server.is_some());
        stream
            .expect("only a stream is sent to")
            .down
            .push_back(sent);
        true
    }

    fn down(&mut self, at: usize) -> bool {
        let at = at % self.streams.len();
        let stream = &mut self.streams[at];
        let Some(received) = stream.down.pop_front() else {
            return false;
        };
        let Some(client) = stream.client else {
            return true;
        };
        let is_present = at + 1 == self.streams.len();
        let stream = &mut self.streams[at];
        match self
            .subscriber
            .receive(client, received)
            .expect("the publisher keeps to it")
        {
            Received::Stale => assert!(!is_present, "the present stream is listened to"),
            Received::Gathered(answer) => stream.up.push_back(answer),
            Received::Applied { answer, applied } => {
                assert!(is_present, "an older stream has no effect");
                stream.up.push_back(answer);
                let generation = self.subscriber.generation().expect("one was applied");
                assert_eq!(
                    applied.configuration, self.published[generation as usize],
                    "what is in force is one generation, whole"
                );
            }
        }
        true
    }

    fn up(&mut self, at: usize) -> bool {
        let at = at % self.streams.len();
        let Some(said) = self.streams[at].up.pop_front() else {
            return false;
        };
        let stream = &mut self.streams[at];
        if let Some(client_message::Message::Hello(hello)) = &said.message {
            stream.server = Some(self.publisher.connect(hello).expect("versions agree"));
            return true;
        }
        let session = stream.server.expect("answers follow what was sent");
        let answer = self.publisher.answer(session, said, self.now);
        if let Some(sent) = answer.expect("the subscriber keeps to it") {
            stream.down.push_back(sent);
        }
        true
    }

    fn hear_end(&mut self, at: usize) {
        // Of streams that are dead, in any order.
        let dead = self.streams.len() - 1;
        if let Some(session) = (dead > 0).then(|| self.streams[at % dead].server).flatten() {
            self.publisher.disconnect(session);
        }
    }

    fn restart(&mut self) {
        let saved = crate::save_configuration(self.subscriber.assembler().configuration());
        let snapshot = crate::load(&saved).expect("what was saved can be read");
        self.subscriber = Subscriber::new(identity(), Assembler::load(&snapshot).0);
        for stream in &mut self.streams {
            stream.client = None;
        }
        self.reconnect();
    }

    /// Delivers what is on its way in the present stream until there is nothing.
    fn settle(&mut self) {
        let present = self.streams.len() - 1;
        while self.up(present) || self.down(present) || self.send() {}
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Publish),
        4 => Just(Step::Send),
        6 => (0..8_usize).prop_map(Step::Down),
        6 => (0..8_usize).prop_map(Step::Up),
        1 => Just(Step::Reconnect),
        1 => (0..8_usize).prop_map(Step::HearEnd),
        1 => Just(Step::Restart),
    ];
    vec(step, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_interleaving_converges_to_the_newest_configuration(
        worlds in vec(worlds(), 1..5),
        steps in steps(),
    ) {
        let mut builder = Builder::default();
        let mut configurations = worlds.iter().cycle();
        let mut network = Network::new(Duration::from_secs(100));
        for step in steps {
            match step {
                Step::Publish => {
                    let world: &World = configurations.next().expect("a cycle has no end");
                    network.publish(builder.build(world));
                }
                Step::Send => drop(network.send()),
                Step::Down(at) => drop(network.down(at)),
                Step::Up(at) => drop(network.up(at)),
                Step::Reconnect => network.reconnect(),
                Step::HearEnd(at) => network.hear_end(at),
                Step::Restart => network.restart(),
            }
        }
        let newest = builder.build(&worlds[0]);
        network.publish(newest.clone());
        network.reconnect();
        network.settle();
        prop_assert_eq!(network.subscriber.assembler().configuration(), &newest);
        let standing = network.publisher.standing();
        prop_assert_eq!(standing.generation, Some(network.published.len() as u64 - 1));
        prop_assert_eq!(standing.problems, &[]);
        prop_assert_eq!(network.publisher.overdue(network.now), None, "no answer is owed");
        // And once more, by a stream that stands.
        let changed = builder.build(&worlds[worlds.len() - 1]);
        network.publish(changed.clone());
        network.settle();
        prop_assert_eq!(network.subscriber.assembler().configuration(), &changed);
        let held: Vec<_> = network.disassembler.snapshot().iter().map(Arc::clone).collect();
        prop_assert_eq!(network.subscriber.assembler().versions().len(), held.len());
    }
}
