//! A plan in the words of nftables, and what the kernel says it has.
//!
//! The names in comments are those of `linux/netfilter/nf_tables.h`.

mod expression;

use std::io;

use rustix::net::netlink::NETFILTER;

use self::expression::Expressions;
use super::plan::{Chain, Hook, Kind, Plan, Rule};
use crate::netlink::{
    ACK, APPEND, Answer, Attributes, CREATE, DUMP, Message, Refusal, Socket, attribute, text,
};

/// The one table, of the family that sees IPv4 and IPv6.
const TABLE: &str = "weft";

/// `NFPROTO_INET`.
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

/// `NFTA_TABLE_NAME`, which `NFTA_CHAIN_TABLE` and `NFTA_RULE_TABLE` share.
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

/// The type of a comment among what `nft` keeps in userdata.
const COMMENT: u8 = 0;

/// Messages of [`replace`] before those of the chains: the begin of the batch, and the table made,
/// deleted and made.
pub(super) const BEFORE_CHAINS: usize = 4;

/// What the table of a pod is now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The comment of the table, which holds the fingerprint of its rules.
    pub(super) comment: String,
    /// Chain and purpose of each rule, in order.
    pub(super) rules: Vec<(String, String)>,
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
        }
    }

    /// The comment of the table. The fingerprint is of everything that is sent, so that a version of
    /// Weft with other rules finds those of this one to be different.
    fn comment(&self) -> String {
        let messages = self.chains.iter().flat_map(chain_and_rules);
        let mut fingerprint = Fingerprint::default();
        for message in messages {
            fingerprint.add(&message.kind.to_be_bytes());
            fingerprint.add(message.attributes.bytes());
        }
        format!("weft rules {:016x}", fingerprint.0)
    }
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
    let mut messages = vec![new_table(None), delete_table()];
    messages.push(new_table(Some(&plan.comment())));
    messages.extend(plan.chains.iter().flat_map(chain_and_rules));
    commit(messages)
}

/// Takes the rules out of the chains that redirect, and leaves the chains: connections that were
/// redirected go on, because what was decided for them lasts as long as they do and the chains do.
/// Whether there was a table.
pub(super) fn flush(plan: &Plan) -> Result<bool, Refusal> {
    let nat = plan.chains.iter().filter(|chain| chain.kind == Kind::Nat);
    let flushes = nat.map(|chain| {
        let mut attributes = Attributes::default();
        attributes
            .text(OF_TABLE, TABLE)
            .text(RULE_CHAIN, chain.name);
        message(DELETE_RULE, 0, attributes)
    });
    match commit(flushes.collect()) {
        Err(refusal) if refusal.error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    }
}

/// Removes the table, also when there is none.
pub(super) fn remove() -> Result<(), Refusal> {
    commit(vec![new_table(None), delete_table()])
}

/// The table as it is, if there is one.
pub(super) fn find() -> io::Result<Option<Found>> {
    let mut socket = Socket::open(Some(NETFILTER))?;
    let mut of_table = Attributes::default();
    of_table.text(OF_TABLE, TABLE);
    let is_ours = |answer: &Answer| attribute(payload(answer), OF_TABLE).map(text) == Some(TABLE);
    let tables = socket.dump(&message(GET_TABLE, DUMP, Attributes::default()))?;
    let Some(table) = tables.iter().find(|answer| is_ours(answer)) else {
        return Ok(None);
    };
    let of_rules = comment(attribute(payload(table), TABLE_USERDATA));
    let rules = socket.dump(&message(GET_RULE, DUMP, of_table))?;
    let rules = rules.iter().filter(|answer| is_ours(answer)).map(|answer| {
        let chain = attribute(payload(answer), RULE_CHAIN).map_or("", text);
        let purpose = comment(attribute(payload(answer), RULE_USERDATA));
        (chain.to_owned(), purpose.to_owned())
    });
    Ok(Some(Found {
        comment: of_rules.to_owned(),
        rules: rules.collect(),
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

fn new_table(comment: Option<&str>) -> Message {
    let mut attributes = Attributes::default();
    attributes.text(OF_TABLE, TABLE);
    if let Some(comment) = comment {
        attributes.put(TABLE_USERDATA, &userdata(comment));
    }
    message(NEW_TABLE, CREATE, attributes)
}

fn delete_table() -> Message {
    let mut attributes = Attributes::default();
    attributes.text(OF_TABLE, TABLE);
    message(DELETE_TABLE, 0, attributes)
}

fn chain_and_rules(chain: &Chain) -> Vec<Message> {
    let mut messages = vec![new_chain(chain)];
    messages.extend(chain.rules.iter().map(|rule| new_rule(chain.name, rule)));
    messages
}

fn new_chain(chain: &Chain) -> Message {
    let number = match chain.hook {
        Hook::Prerouting => 0,
        Hook::Output => 3,
    };
    let kind = match chain.kind {
        Kind::Filter => "filter",
        Kind::Route => "route",
        Kind::Nat => "nat",
    };
    let mut hook = Attributes::default();
    hook.number(HOOK_NUMBER, number)
        .number(HOOK_PRIORITY, chain.priority.cast_unsigned());
    let mut attributes = Attributes::default();
    attributes
        .text(OF_TABLE, TABLE)
        .text(CHAIN_NAME, chain.name)
        .nest(CHAIN_HOOK, &hook)
        .text(CHAIN_TYPE, kind);
    message(NEW_CHAIN, CREATE, attributes)
}

fn new_rule(chain: &str, rule: &Rule) -> Message {
    let mut expressions = Expressions::default();
    for it in &rule.matches {
        expressions.matches(it);
    }
    expressions.action(rule.action);
    let mut attributes = Attributes::default();
    attributes
        .text(OF_TABLE, TABLE)
        .text(RULE_CHAIN, chain)
        .nest(RULE_EXPRESSIONS, &expressions.0)
        .put(RULE_USERDATA, &userdata(rule.purpose));
    message(NEW_RULE, CREATE | APPEND, attributes)
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
