//! Rules as terms: the syntax tree of CEL with names resolved and patterns compiled.

use std::sync::Arc;

use kube::core::cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};
use regex_automata::meta::Regex;

/// A part of a rule.
#[derive(Debug)]
pub(super) enum Term {
    Text(Box<str>),
    Int(i64),
    Bool(bool),
    List(Vec<Term>),
    /// A variable, by its place in the scope.
    Variable(usize),
    Field(Box<Term>, Box<str>),
    Has(Box<Term>, Box<str>),
    If(Box<[Term; 3]>),
    Unary(Unary, Box<Term>),
    Binary(Binary, Box<[Term; 2]>),
    Matches(Box<Term>, Arc<Regex>),
    Fold(Box<Fold>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unary {
    Not,
    Size,
    Duration,
    /// True unless the argument is false; the condition of loops.
    NotFalse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binary {
    And,
    Or,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    In,
    Index,
    Contains,
    StartsWith,
    EndsWith,
}

/// A loop over a list or the keys of a map, which all macros of CEL become.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) range: Term,
    pub(super) start: Term,
    pub(super) condition: Term,
    pub(super) step: Term,
    pub(super) result: Term,
}

impl Term {
    /// `names` are the variables in scope, outermost first.
    pub(super) fn compile(expr: &IdedExpr, names: &mut Vec<String>) -> Option<Self> {
        match &expr.expr {
            Expr::Literal(LiteralValue::Boolean(value)) => Some(Self::Bool(*value.inner())),
            Expr::Literal(LiteralValue::Int(value)) => Some(Self::Int(*value.inner())),
            Expr::Literal(LiteralValue::String(text)) => Some(Self::Text(text.inner().into())),
            Expr::Ident(name) => {
                let place = names.iter().rposition(|known| known == name)?;
                Some(Self::Variable(place))
            }
            Expr::List(list) if list.optional_indices.is_empty() => {
                let items = list.elements.iter();
                let items: Option<_> = items.map(|item| Self::compile(item, names)).collect();
                Some(Self::List(items?))
            }
            Expr::Select(select) => Self::select(select, names),
            Expr::Call(call) => Self::call(call, names),
            Expr::Comprehension(fold) => Self::fold(fold, names),
            _ => None,
        }
    }

    fn select(select: &SelectExpr, names: &mut Vec<String>) -> Option<Self> {
        let operand = Box::new(Self::compile(&select.operand, names)?);
        let field = unescaped(&select.field)?.into();
        Some(if select.test {
            Self::Has(operand, field)
        } else {
            Self::Field(operand, field)
        })
    }

    /// A call with its target, if there is one, as the first argument.
    fn call(call: &CallExpr, names: &mut Vec<String>) -> Option<Self> {
        let name = call.func_name.as_str();
        let mut arguments = call.target.as_deref().into_iter().chain(&call.args);
        let mut next = || arguments.next();
        let (first, second, third) = (next(), next(), next());
        match (first, second, third) {
            (Some(first), None, None) => {
                let operator = Unary::find(name)?;
                Some(Self::Unary(operator, Self::compile(first, names)?.into()))
            }
            (Some(first), Some(second), None) if name == "matches" => {
                let Expr::Literal(LiteralValue::String(pattern)) = &second.expr else {
                    return None;
                };
                let regex = Arc::new(Regex::new(pattern.inner()).ok()?);
                Some(Self::Matches(Self::compile(first, names)?.into(), regex))
            }
            (Some(first), Some(second), None) => {
                let operator = Binary::find(name, call.target.is_some())?;
                let sides = [Self::compile(first, names)?, Self::compile(second, names)?];
                Some(Self::Binary(operator, sides.into()))
            }
            (Some(condition), Some(then), Some(otherwise)) if name == operators::CONDITIONAL => {
                let condition = Self::compile(condition, names)?;
                let then = Self::compile(then, names)?;
                let otherwise = Self::compile(otherwise, names)?;
                Some(Self::If([condition, then, otherwise].into()))
            }
            _ => None,
        }
    }

    fn fold(fold: &ComprehensionExpr, names: &mut Vec<String>) -> Option<Self> {
        if fold.iter_var2.is_some() {
            return None;
        }
        let range = Self::compile(&fold.iter_range, names)?;
        let start = Self::compile(&fold.accu_init, names)?;
        names.push(fold.accu_var.clone());
        let result = Self::compile(&fold.result, names);
        names.push(fold.iter_var.clone());
        let condition = Self::compile(&fold.loop_cond, names);
        let step = Self::compile(&fold.loop_step, names);
        names.truncate(names.len() - 2);
        Some(Self::Fold(Box::new(Fold {
            range,
            start,
            condition: condition?,
            step: step?,
            result: result?,
        })))
    }
}

impl Unary {
    fn find(name: &str) -> Option<Self> {
        Some(match name {
            operators::LOGICAL_NOT => Self::Not,
            operators::NOT_STRICTLY_FALSE => Self::NotFalse,
            "size" => Self::Size,
            "duration" => Self::Duration,
            _ => return None,
        })
    }
}

impl Binary {
    fn find(name: &str, is_method: bool) -> Option<Self> {
        Some(match name {
            operators::LOGICAL_AND => Self::And,
            operators::LOGICAL_OR => Self::Or,
            operators::EQUALS => Self::Equal,
            operators::NOT_EQUALS => Self::NotEqual,
            operators::LESS => Self::Less,
            operators::LESS_EQUALS => Self::LessOrEqual,
            operators::GREATER => Self::Greater,
            operators::GREATER_EQUALS => Self::GreaterOrEqual,
            operators::ADD => Self::Add,
            operators::IN => Self::In,
            operators::INDEX => Self::Index,
            "contains" if is_method => Self::Contains,
            "startsWith" if is_method => Self::StartsWith,
            "endsWith" if is_method => Self::EndsWith,
            _ => return None,
        })
    }
}

/// The name of a field in JSON, given its name in CEL, where words with a meaning of their own
/// stand between underscores (`__namespace__`). Other escapes are not needed by any rule.
fn unescaped(name: &str) -> Option<&str> {
    if !name.contains("__") {
        return Some(name);
    }
    let inside = name.strip_prefix("__")?.strip_suffix("__")?;
    (!inside.contains('_')).then_some(inside)
}
