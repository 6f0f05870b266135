//! Who has to answer for the members of the mesh among endpoints, and in whose name they are reached.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use weft_certs::Expected;
use weft_forward::{Answering, Caller, Members, Sender};
use weft_ir::Endpoints;
use weft_spiffe::SpiffeId;

/// Who answers, as of the last endpoints.
#[derive(Default)]
pub(crate) struct Answers {
    endpoints: Arc<Endpoints>,
    members: Arc<Members>,
}

impl Answers {
    /// Everybody in this list sends as `caller`, and nobody else in anybody's name; for traffic that
    /// brings no caller along.
    pub(crate) fn call(&mut self, senders: impl Iterator<Item = Sender>, caller: &Arc<Caller>) {
        let callers = senders.map(|sender| (sender, Arc::clone(caller)));
        let callers: HashMap<_, _> = callers.collect();
        let known = &self.members.callers;
        let is_known = |(sender, caller): (&Sender, &Arc<Caller>)| {
            let known = known.get(sender);
            known.is_some_and(|known| Arc::ptr_eq(known, caller))
        };
        if callers.len() != known.len() || !callers.iter().all(is_known) {
            self.members = Arc::new(Members {
                callers,
                answering: self.members.answering.clone(),
            });
        }
    }

    /// Who answers for these endpoints: each of its members for itself, on its own address. The same as
    /// before, by pointer, where nothing is different. A text that is no SPIFFE ID is nobody, and the
    /// endpoint that has it is not reached.
    pub(crate) fn of(&mut self, endpoints: &Arc<Endpoints>) -> Arc<Members> {
        if !Arc::ptr_eq(&self.endpoints, endpoints) {
            self.endpoints = Arc::clone(endpoints);
            let all = endpoints.values().flat_map(|set| set.all());
            let named: HashSet<&Arc<str>> = all.filter_map(|it| it.member.as_ref()).collect();
            let parse = |id: &Arc<str>| Some((Arc::clone(id), SpiffeId::parse(id).ok()?));
            let ids: Vec<_> = named.into_iter().filter_map(parse).collect();
            let known = &self.members.answering;
            if ids.len() != known.len() || ids.iter().any(|(id, _)| !known.contains_key(id)) {
                let answering = ids.into_iter().map(|(text, id)| {
                    let expected = Expected::OneOf(vec![id]);
                    let door = None;
                    (text, Answering { door, expected })
                });
                self.members = Arc::new(Members {
                    answering: answering.collect(),
                    callers: self.members.callers.clone(),
                });
            }
        }
        Arc::clone(&self.members)
    }
}
