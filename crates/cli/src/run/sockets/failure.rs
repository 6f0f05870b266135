//! What to do about a socket that the system refuses.

use std::{
    collections::BTreeSet,
    io::{Error, ErrorKind},
    net::IpAddr,
};

use weft_forward::InletKey;
use weft_ir::Name;
use weft_proxy::{Bind, BindError};

use super::Sockets;
use crate::run::{addresses::Owner, limits, ports::Verdict};

/// What has to happen after sockets were refused.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Services that need another ClusterIP: admit them again.
    pub(crate) readmit: BTreeSet<Name>,
    /// Whether something is to be tried again.
    pub(crate) again: bool,
}

/// Why a socket was refused, by what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// No more file descriptors: nothing helps but a higher limit.
    OutOfFiles,
    /// Somebody else has a socket that Gateways share: do without.
    Shared,
    /// Nobody can have the port: everything on it moves.
    Port,
    /// Another process has the address: take another one.
    Address,
    /// Nothing helps.
    Other,
}

impl Sockets {
    /// Takes note of sockets that could not be opened and chooses others where that can help.
    pub(crate) fn refused(&mut self, errors: &[BindError]) -> Retry {
        let mut retry = Retry::default();
        let mut out_of_files = false;
        for BindError { bind, source } in errors {
            match self.cause(bind, source) {
                Cause::OutOfFiles => out_of_files = true,
                Cause::Shared => retry.again |= self.do_without(bind, source),
                Cause::Port => {
                    self.stale.extend(self.services.keys().cloned());
                    retry.again = true;
                }
                Cause::Address => retry.again |= self.replace(bind, &mut retry.readmit),
                Cause::Other => retry.again |= self.give_up(bind, source),
            }
        }
        if out_of_files {
            let sockets = self.wanted.len();
            let needed = limits::files_needed(sockets);
            self.remarks.push(format!(
                "not every socket could be opened: {sockets} sockets need a limit of {needed} open \
                 files and it is {}; raise it with `ulimit -n {needed}`",
                limits::open_files(),
            ));
        }
        retry
    }

    fn cause(&mut self, bind: &Bind, error: &Error) -> Cause {
        if limits::is_out_of_files(error) {
            return Cause::OutOfFiles;
        }
        if self.is_shared(bind) {
            return Cause::Shared;
        }
        let port = bind.address.port();
        match (error.kind(), self.ports.ask_again(port)) {
            (ErrorKind::AddrInUse, Verdict::Taken)
            | (ErrorKind::PermissionDenied, Verdict::Privileged) => Cause::Port,
            (ErrorKind::AddrInUse, _) => Cause::Address,
            _ => Cause::Other,
        }
    }

    fn do_without(&mut self, bind: &Bind, error: &Error) -> bool {
        let is_new = self.refused.insert(bind.address);
        // Machines without IPv6 are common enough not to mention it.
        if is_new && error.kind() != ErrorKind::AddrNotAvailable {
            self.remarks.push(format!(
                "{} is not reached at {}: {error}; its own address is not affected",
                bind.key, bind.address
            ));
        }
        is_new
    }

    /// Chooses another address. Says whether there is something to try.
    fn replace(&mut self, bind: &Bind, readmit: &mut BTreeSet<Name>) -> bool {
        let IpAddr::V4(address) = bind.address.ip() else {
            return false;
        };
        // Of several ports of one address the first has found its owner already.
        let Some(owner) = self.book.owner_of(address).cloned() else {
            return true;
        };
        self.book.lose(address);
        match &owner {
            Owner::Service(name) => {
                readmit.insert(name.clone());
            }
            Owner::ServiceFor { service, .. } => {
                self.stale.insert(service.clone());
            }
            Owner::Gateway(_) => {}
        }
        self.remarks.push(format!(
            "{owner}: {} is in use by another process; it gets another address",
            bind.address
        ));
        true
    }

    fn give_up(&mut self, bind: &Bind, error: &Error) -> bool {
        self.remarks.push(format!(
            "{} cannot listen on {}: {error}",
            bind.key, bind.address
        ));
        match bind.key.as_ref() {
            InletKey::Gateway { gateway, port } => {
                let port = (gateway.clone(), *port);
                self.unusable.insert(port, error.to_string()).is_none()
            }
            InletKey::Mesh { .. } => false,
        }
    }

    /// Whether the socket is on an address that Gateways share.
    fn is_shared(&self, bind: &Bind) -> bool {
        match (bind.key.as_ref(), bind.address.ip()) {
            (InletKey::Gateway { gateway, .. }, IpAddr::V4(address)) => {
                let place = self.gateways.get(gateway);
                place.is_some_and(|place| place.address != address)
            }
            (InletKey::Gateway { .. }, IpAddr::V6(_)) => true,
            (InletKey::Mesh { .. }, _) => false,
        }
    }
}
