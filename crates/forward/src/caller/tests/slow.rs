//! What waits in this process for clients of a pod that read nothing.

use std::time::Duration;

use socket2::SockRef;
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::*;
use crate::{Rounds, connection::unsent::Budget};

const CLIENTS: usize = 64;
/// Those that each of them holds in the system.
const SOCKET_BYTES: usize = 16 * 1024;

/// An application whose answers have no end.
async fn endless() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let small = SockRef::from(&stream).set_send_buffer_size(SOCKET_BYTES);
            small.expect("a setting");
            tokio::spawn(async move {
                stream.read_u8().await.expect("a question");
                let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
                stream.write_all(head).await.expect("it is awaited");
                let piece = vec![b'x'; 64 * 1024];
                while stream.write_all(&piece).await.is_ok() {}
            });
        }
    });
    address
}

/// Has [`CLIENTS`] ask, whose sockets hold little; they read only what is asked for.
async fn clients(here: &Here, caller: &Arc<Caller>) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a socket");
        let address = listener.local_addr().expect("its address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, accepted) = (client.expect("connected"), accepted.expect("accepted").0);
        let small = SockRef::from(&client).set_recv_buffer_size(SOCKET_BYTES);
        let small = small.and(SockRef::from(&accepted).set_send_buffer_size(SOCKET_BYTES));
        small.expect("a setting");
        let dispatch = here.workers.dispatch();
        let (handle, inlet) = (dispatch.least_loaded(), Arc::clone(&here.inlet));
        let accepted = (accepted, Arc::clone(caller));
        tokio::spawn(serve(handle, &here.shared, inlet, accepted));
        client.write_all(ASK).await.expect("open");
        clients.push(client);
    }
    // The clock of a test moves when nothing else does.
    sleep(Duration::from_millis(1)).await;
    clients
}

#[tokio::test(start_paused = true)]
async fn those_who_read_nothing_hold_little_once_they_are_many() {
    let here = Here::new(FrontendProtocol::Http, endless().await, None);
    let rounds = Rounds::default();
    let share = rounds.share();
    tokio::spawn(async move { rounds.deal().await });
    let sockets = Arc::new(Counted::default());
    let caller = Caller::elsewhere(sockets, vec![[127, 0, 0, 1].into()]).sharing(share.clone());
    let clients = clients(&here, &Arc::new(caller)).await;
    let budget: Budget = share.budget();
    assert!(!budget.is_left(), "the first of them hold all of it");
    let waiting = budget.bytes();
    assert!(waiting < 6 << 20, "{waiting} bytes wait");
    // Everybody who reads on gets more, in order. What is under way in the system takes time now.
    tokio::time::resume();
    let mut reading = JoinSet::new();
    for mut client in clients {
        reading.spawn(async move {
            let mut taken = vec![0; 256 * 1024];
            client.read_exact(&mut taken).await.expect("its answer");
            assert!(taken.ends_with(&[b'x'; 1000]), "as it was sent");
        });
    }
    reading.join_all().await;
    let nobody_holds_anything = async {
        while budget.bytes() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let ended = timeout(Duration::from_secs(10), nobody_holds_anything).await;
    ended.expect("what was held is given back");
}
