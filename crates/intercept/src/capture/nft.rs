//! A plan in the words of nftables, and what the kernel says it has.
//!
//! The names in comments are those of `linux/netfilter/nf_tables.h`.

mod expression;

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use rustix::net::netlink::NETFILTER;

use self::expression::Expressions;
use super::plan::{Chain, Family, Hook, Kind, Plan, Rule, Set};
use crate::netlink::{
    ACK, APPEND, Answer, Attributes, CREATE, DUMP, Message, Refusal, Socket, attribute, attributes,
    text,
};

/// `NFPROTO_INET`: the family that sees IPv4 and IPv6.
const INET: u8 = 1;
/// `NFNL_SUBSYS_NFTABLES`, which is the upper byte of a message's type.
const SUBSYSTEM: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BATCH: [u16; 2] = [0x10, 0x11];

const NEW_TABLE: u16 = 0;
const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_MEMBERS: u16 = 12;
const GET_MEMBERS: u16 = 13;

/// `NFTA_TABLE_NAME`, and in chains, rules, sets and members the name of their table.
const OF_TABLE: u16 = 1;
const TABLE_USERDATA: u16 = 6;
const CHAIN_NAME: u16 = 3;
const CHAIN_HOOK: u16 = 4;
const CHAIN_TYPE: u16 = 7;
const HOOK_NUMBER: u16 = 1;
const HOOK_PRIORITY: u16 = 2;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;
const RULE_USERDATA: u16 = 7;
const SET_NAME: u16 = 2;
const SET_KEY_TYPE: u16 = 4;
const SET_KEY_BYTES: u16 = 5;
const SET_ID: u16 = 10;
const MEMBERS: u16 = 3;
/// `NFTA_LIST_ELEM`, `NFTA_SET_ELEM_KEY` and `NFTA_DATA_VALUE`.
const MEMBER: u16 = 1;
const KEY: u16 = 1;
const VALUE: u16 = 1;
/// Members of one message, whose list may not be longer than 64 KiB.
const AT_ONCE: usize = 1000;

/// The type of a comment among what `nft` keeps in userdata.
const COMMENT: u8 = 0;

/// Messages of [`replace`] before those of sets and chains: the begin of the batch, and the table made,
/// deleted and made.
const BEFORE_PARTS: usize = 4;

/// What the table of a pod is now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The comment of the table, which holds the fingerprint of its rules.
    pub(super) comment: String,
    /// Chain and purpose of each rule, in order.
    pub(super) rules: Vec<(String, String)>,
    /// How many members all sets have.
    pub(super) members: usize,
}

impl Plan {
    /// What the kernel says once this plan is applied.
    pub(super) fn found(&self) -> Found {
        let purposes = |chain: &Chain| {
            let name = chain.name.to_owned();
            let rules = chain.rules.iter();
            let purposes: Vec<String> = rules.map(|rule| rule.purpose.to_owned()).collect();
            purposes.into_iter().map(move |it| (name.clone(), it))
        };
        Found {
            comment: self.comment(),
            rules: self.chains.iter().flat_map(purposes).collect(),
            members: self.sets.iter().map(|set| set.members.len()).sum(),
        }
    }

    /// The comment of the table. The fingerprint is of everything that is sent, so that a version of
    /// Weft with other rules finds those of this one to be different.
    fn comment(&self) -> String {
        let mut fingerprint = Fingerprint::default();
        for message in self.parts() {
            fingerprint.add(&message.kind.to_be_bytes());
            fingerprint.add(message.attributes.bytes());
        }
        format!("weft rules {:016x}", fingerprint.0)
    }

    /// Everything but the table itself.
    fn parts(&self) -> Vec<Message> {
        let sets = self.sets.iter().zip(1..);
        let sets = sets.flat_map(|(set, id)| self.set_and_members(set, id));
        let chains = self.chains.iter().flat_map(|chain| {
            let rules = chain
                .rules
                .iter()
                .map(|rule| self.new_rule(chain.name, rule));
            std::iter::once(self.new_chain(chain)).chain(rules)
        });
        sets.chain(chains).collect()
    }

    /// The purpose of the message at this place in [`replace`]: what the kernel refused.
    pub(super) fn describe(&self, at: usize) -> String {
        let parts = self.chains.iter().flat_map(|chain| {
            let rule = |rule: &Rule| format!("rule `{}` of chain {}", rule.purpose, chain.name);
            let rules = chain.rules.iter().map(rule);
            std::iter::once(format!("chain {}", chain.name)).chain(rules)
        });
        let sets = self.sets.iter().zip(1..);
        let before = sets.flat_map(|(set, id)| {
            let of_set = self.set_and_members(set, id);
            of_set.into_iter().map(|_| format!("set {}", set.name))
        });
        let part = at.checked_sub(BEFORE_PARTS);
        let part = part.and_then(|at| before.chain(parts).nth(at));
        part.unwrap_or_else(|| format!("table {}", self.table))
    }

    fn new_table(&self, comment: Option<&str>) -> Message {
        let mut attributes = self.attributes();
        if let Some(comment) = comment {
            attributes.put(TABLE_USERDATA, &userdata(comment));
        }
        message(NEW_TABLE, CREATE, attributes)
    }

    fn delete_table(&self) -> Message {
        message(DELETE_TABLE, 0, self.attributes())
    }

    fn new_chain(&self, chain: &Chain) -> Message {
        let number = match chain.hook {
            Hook::Prerouting => 0,
            Hook::Output => 3,
            Hook::Postrouting => 4,
        };
        let kind = match chain.kind {
            Kind::Filter => "filter",
            Kind::Route => "route",
            Kind::Nat => "nat",
        };
        let mut hook = Attributes::default();
        hook.number(HOOK_NUMBER, number)
            .number(HOOK_PRIORITY, chain.priority.cast_unsigned());
        let mut attributes = self.attributes();
        attributes
            .text(CHAIN_NAME, chain.name)
            .nest(CHAIN_HOOK, &hook)
            .text(CHAIN_TYPE, kind);
        message(NEW_CHAIN, CREATE, attributes)
    }

    fn new_rule(&self, chain: &str, rule: &Rule) -> Message {
        let mut expressions = Expressions::default();
        for it in &rule.matches {
            expressions.matches(it);
        }
        expressions.action(rule.action);
        let mut attributes = self.attributes();
        attributes
            .text(RULE_CHAIN, chain)
            .nest(RULE_EXPRESSIONS, &expressions.0)
            .put(RULE_USERDATA, &userdata(rule.purpose));
        message(NEW_RULE, CREATE | APPEND, attributes)
    }

    /// A set of addresses and ports side by side, each in a multiple of four bytes, and its members.
    fn set_and_members(&self, set: &Set, id: u32) -> Vec<Message> {
        // What `nft` calls the types of the two, six bits each; only `nft` reads it.
        let (bytes, kind) = match set.family {
            Family::V4 => (8, 7 << 6 | 13),
            Family::V6 => (20, 8 << 6 | 13),
        };
        let mut attributes = self.attributes();
        attributes
            .text(SET_NAME, set.name)
            .number(SET_KEY_TYPE, kind)
            .number(SET_KEY_BYTES, bytes)
            .number(SET_ID, id);
        let mut messages = vec![message(NEW_SET, CREATE, attributes)];
        let members: Vec<&SocketAddr> = set.members.iter().collect();
        messages.extend(members.chunks(AT_ONCE).map(|members| {
            let mut list = Attributes::default();
            for member in members {
                let (mut key, mut of_member) = (Attributes::default(), Attributes::default());
                key.put(VALUE, &key_of(member));
                of_member.nest(KEY, &key);
                list.nest(MEMBER, &of_member);
            }
            let mut attributes = self.attributes();
            attributes.text(SET_NAME, set.name).nest(MEMBERS, &list);
            message(NEW_MEMBERS, CREATE, attributes)
        }));
        messages
    }

    /// Attributes that name the table.
    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default();
        attributes.text(OF_TABLE, self.table);
        attributes
    }
}

fn key_of(member: &SocketAddr) -> Vec<u8> {
    let mut key = match member.ip() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    key.extend(member.port().to_be_bytes());
    key.extend([0; 2]);
    key
}

/// FNV-1a: the same in every version and on every machine, against accidents and not attackers.
struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fingerprint {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// Puts the plan in the place of what the table is, all at once: no packet meets half of it.
pub(super) fn replace(plan: &Plan) -> Result<(), Refusal> {
    let mut messages = vec![plan.new_table(None), plan.delete_table()];
    messages.push(plan.new_table(Some(&plan.comment())));
    messages.extend(plan.parts());
    commit(messages)
}

/// Takes the rules out of the chains that redirect, and leaves the chains: connections that were
/// redirected go on, because what was decided for them lasts as long as they do and the chains do.
/// Whether there was a table.
pub(super) fn flush(plan: &Plan) -> Result<bool, Refusal> {
    let nat = plan.chains.iter().filter(|chain| chain.kind == Kind::Nat);
    let flushes = nat.map(|chain| {
        let mut attributes = plan.attributes();
        attributes.text(RULE_CHAIN, chain.name);
        message(DELETE_RULE, 0, attributes)
    });
    match commit(flushes.collect()) {
        Err(refusal) if refusal.error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    }
}

/// Removes the table, also when there is none.
pub(super) fn remove(plan: &Plan) -> Result<(), Refusal> {
    commit(vec![plan.new_table(None), plan.delete_table()])
}

/// The table as it is, if there is one.
pub(super) fn find(plan: &Plan) -> io::Result<Option<Found>> {
    let mut socket = Socket::open(Some(NETFILTER))?;
    let is_ours =
        |answer: &Answer| attribute(payload(answer), OF_TABLE).map(text) == Some(plan.table);
    let tables = socket.dump(&message(GET_TABLE, DUMP, Attributes::default()))?;
    let Some(table) = tables.iter().find(|answer| is_ours(answer)) else {
        return Ok(None);
    };
    let of_table = comment(attribute(payload(table), TABLE_USERDATA));
    let rules = socket.dump(&message(GET_RULE, DUMP, plan.attributes()))?;
    let rules = rules.iter().filter(|answer| is_ours(answer)).map(|answer| {
        let chain = attribute(payload(answer), RULE_CHAIN).map_or("", text);
        let purpose = comment(attribute(payload(answer), RULE_USERDATA));
        (chain.to_owned(), purpose.to_owned())
    });
    let mut members = 0;
    for set in &plan.sets {
        let mut of_set = plan.attributes();
        of_set.text(SET_NAME, set.name);
        let answers = match socket.dump(&message(GET_MEMBERS, DUMP, of_set)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let lists = answers.iter();
        let lists = lists.filter_map(|answer| attribute(payload(answer), MEMBERS));
        members += lists.map(|list| attributes(list).count()).sum::<usize>();
    }
    Ok(Some(Found {
        comment: of_table.to_owned(),
        rules: rules.collect(),
        members,
    }))
}

/// A batch takes effect as a whole or not at all.
fn commit(messages: Vec<Message>) -> Result<(), Refusal> {
    let failed = |error| Refusal { at: 0, error };
    let mut socket = Socket::open(Some(NETFILTER)).map_err(failed)?;
    let border = |kind| Message {
        kind,
        flags: 0,
        // Of no family; the resource is the subsystem, the highest byte first.
        header: vec![0, 0, 0, SUBSYSTEM.to_be_bytes()[1]],
        attributes: Attributes::default(),
    };
    let mut batch = vec![border(BATCH[0])];
    batch.extend(messages);
    batch.push(border(BATCH[1]));
    socket.request(&batch)
}

fn message(kind: u16, flags: u16, attributes: Attributes) -> Message {
    let acknowledged = if flags == DUMP { 0 } else { ACK };
    Message {
        kind: SUBSYSTEM << 8 | kind,
        flags: flags | acknowledged,
        header: vec![INET, 0, 0, 0],
        attributes,
    }
}

/// What is behind the header that all messages of netfilter have.
fn payload(answer: &Answer) -> &[u8] {
    answer.body.get(4..).unwrap_or_default()
}

/// What `nft` shows as a comment: type, length, text with its NUL.
fn userdata(comment: &str) -> Vec<u8> {
    let length = u8::try_from(comment.len() + 1).unwrap_or(u8::MAX);
    let mut bytes = vec![COMMENT, length];
    bytes.extend(comment.as_bytes());
    bytes.push(0);
    bytes
}

/// The text of a comment; empty for userdata that is none.
fn comment(userdata: Option<&[u8]>) -> &str {
    match userdata {
        Some([COMMENT, length, rest @ ..]) => rest.get(..usize::from(*length)).map_or("", text),
        _ => "",
    }
}
