//! Servers in the place of a member: who dials it gets a reset, and nobody gets what was said.

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use weft_tests::{
    netns::{can_make_namespaces, within},
    refusals::attacked,
    wait::soon,
};

use super::{
    Counter, Made, TUNNEL, World,
    forge::{Ca, over},
    hold,
    stranger::{ONLY_TLS12, Stranger, ending},
};

const CONNECTIONS: Counter = Counter {
    name: "weft_connections_closed_total",
    labels: &["reporter=\"source\""],
    label: "reason",
};

/// Whom callers expect.
const CART: &str = "spiffe://cluster.local/ns/shop/sa/cart";

/// What answers.
#[derive(Clone)]
enum Answers {
    Tls(Stranger),
    /// Says this to whatever it hears.
    Says(&'static [u8]),
    /// There is nobody.
    Nobody,
}

impl Answers {
    async fn answer(self, listener: Arc<TcpListener>) {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else {
                return;
            };
            match &self {
                Self::Tls(stranger) => stranger.answers(stream).await,
                Self::Says(bytes) => {
                    // The client is gone when it has understood.
                    let _heard = stream.read(&mut [0; 1024]).await;
                    let _said = stream.write_all(bytes).await;
                }
                Self::Nobody => return,
            }
        }
    }
}

const SERVERS: &[Made<Answers>] = &[
    ("another pod of ours", |it| {
        let other = it.root.leaf("spiffe://cluster.local/ns/shop/sa/db", |_| ());
        Answers::Tls(Stranger::showing(other.under(&[])))
    }),
    ("a foreign trust domain", |it| {
        let foreign = "spiffe://elsewhere.example/ns/shop/sa/cart";
        let foreign = it.root.leaf(foreign, |_| ());
        Answers::Tls(Stranger::showing(foreign.under(&[])))
    }),
    ("another authority", |_| {
        let theirs = Ca::root("nobody's", |_| ()).leaf(CART, |_| ());
        Answers::Tls(Stranger::showing(theirs.under(&[])))
    }),
    ("expired a second ago", |it| {
        let late = it.root.leaf(CART, over);
        Answers::Tls(Stranger::showing(late.under(&[])))
    }),
    ("TLS 1.2", |it| {
        let good = it.root.leaf(CART, |_| ()).under(&[]);
        Answers::Tls(Stranger {
            versions: &ONLY_TLS12,
            ..Stranger::showing(good)
        })
    }),
    ("no h2", |it| {
        let good = it.root.leaf(CART, |_| ()).under(&[]);
        Answers::Tls(Stranger {
            alpn: &[],
            ..Stranger::showing(good)
        })
    }),
    ("HTTP in plaintext", |_| {
        Answers::Says(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
    }),
    ("nobody", |_| Answers::Nobody),
];

/// What an application sees that dials through its worker: it says something, and listens.
async fn sees(dialled: io::Result<TcpStream>) -> String {
    let exchange = async {
        let mut stream = dialled?;
        stream.write_all(b"a secret").await?;
        stream.read(&mut [0; 64]).await
    };
    ending(soon("an answer, or the end", exchange).await)
}

/// Where the one who is dialled would end tunnels.
fn listens(world: &World) -> TcpListener {
    let listener = world.pair.cart.listen(TUNNEL);
    listener.set_nonblocking(true).expect("a socket can be set");
    let _inside = world.runtime.enter();
    TcpListener::from_std(listener).expect("there is a runtime")
}

#[test]
fn who_answers_in_the_place_of_a_member() {
    if !can_make_namespaces() {
        return;
    }
    let world = World::of(|pair| &pair.web);
    let cart = &world.pair.cart;
    let mut faults = Vec::new();
    let mut listener = Some(Arc::new(listens(&world)));
    for (row, answers) in attacked("servers", SERVERS) {
        let answers = answers(&world.forge);
        // The last row is the one without anybody.
        let listener = match answers {
            Answers::Nobody => {
                listener = None;
                None
            }
            _ => listener.clone(),
        };
        let answering = listener.map(|it| world.runtime.spawn(answers.answer(it)));
        // Whoever is refused is so before it says a word.
        let calling = async {
            let dialled = world.pair.web.dial(cart.at(80));
            sees(world.adopt(dialled)).await
        };
        faults.extend(world.play(&row, CONNECTIONS, calling));
        if let Some(answering) = answering {
            answering.abort();
            // It answers no more when it has ended.
            let _aborted = world.runtime.block_on(answering);
        }
    }
    hold("servers", &faults);
    let reached = within(&cart.netns, || std::net::TcpStream::connect(cart.at(80)));
    assert!(reached.is_err(), "there was never an application to reach");
}
