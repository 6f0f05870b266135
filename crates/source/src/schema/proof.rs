//! Proves that a rule in CEL holds, a hundred times faster than CEL does.
//!
//! A proof runs the syntax tree of the rule on the JSON value itself, with regular expressions
//! compiled once. It knows the part of CEL that the rules of Gateway API use and gives up whenever
//! anything else, an error or an odd type, comes up. What is not proven is judged by the oracle,
//! so a proof may be incomplete but never wrong: `holds` must imply that CEL says `true`.

mod evaluate;
mod term;

use std::sync::Arc;

use kube::core::cel::cel::Program;
use serde_json::Value;

use evaluate::{Scope, Val};
use term::Term;

/// A rule that can be proven.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    term: Arc<Term>,
}

impl Proof {
    /// The proof of a rule; `None` when it uses something that is not known here.
    pub(super) fn compile(rule: &str) -> Option<Self> {
        let program = Program::compile(rule).ok()?;
        let term = Term::compile(program.expression(), &mut vec!["self".to_owned()])?;
        Some(Self {
            term: Arc::new(term),
        })
    }

    /// Whether the rule certainly holds for a value.
    pub(super) fn holds(&self, value: &Value) -> bool {
        let Some(this) = Val::from_json(value) else {
            return false;
        };
        let mut scope = Scope::new(this);
        matches!(self.term.evaluate(&mut scope), Some(Val::Bool(true)))
    }
}
