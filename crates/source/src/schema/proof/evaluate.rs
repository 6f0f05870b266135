//! Evaluates terms on JSON. Everything gives `None` where CEL may do anything but give this value.

use std::cmp::Ordering;
use std::time::Duration;

use serde_json::Value;
use weft_api::duration;

use super::term::{Binary, Fold, Term, Unary};

/// A value of a rule.
#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    Text(&'a str),
    Int(i64),
    Bool(bool),
    Duration(Duration),
    List(Vec<Val<'a>>),
    /// A list or a map of the object.
    Json(&'a Value),
}

/// The variables, outermost first.
pub(super) struct Scope<'a> {
    variables: Vec<Val<'a>>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(this: Val<'a>) -> Self {
        Self {
            variables: vec![this],
        }
    }
}

impl<'a> Val<'a> {
    /// Floats, numbers beyond 64 bits and nulls are left to CEL.
    pub(super) fn from_json(value: &'a Value) -> Option<Self> {
        Some(match value {
            Value::String(text) => Self::Text(text),
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Int(number.as_i64()?),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
            Value::Null => return None,
        })
    }

    fn truth(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Equality of values of one simple type.
    fn equals(&self, other: &Self) -> Option<bool> {
        self.compare(other).map(Ordering::is_eq).or_else(|| {
            let (one, other) = (self.truth()?, other.truth()?);
            Some(one == other)
        })
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            (Self::Int(one), Self::Int(other)) => Some(one.cmp(other)),
            (Self::Duration(one), Self::Duration(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }

    fn size(&self) -> Option<i64> {
        let size = match self {
            // Bytes and characters are the same number only here, and CEL libraries disagree on
            // which of the two they count.
            Self::Text(text) if text.is_ascii() => text.len(),
            Self::List(items) => items.len(),
            Self::Json(Value::Array(items)) => items.len(),
            Self::Json(Value::Object(fields)) => fields.len(),
            _ => return None,
        };
        i64::try_from(size).ok()
    }

    /// The items of a list or the keys of a map.
    fn iterate(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) => Some(items.clone()),
            Self::Json(Value::Array(items)) => items.iter().map(Self::from_json).collect(),
            Self::Json(Value::Object(fields)) => {
                Some(fields.keys().map(|key| Self::Text(key)).collect())
            }
            _ => None,
        }
    }
}

impl Term {
    pub(super) fn evaluate<'a>(&'a self, scope: &mut Scope<'a>) -> Option<Val<'a>> {
        match self {
            Self::Text(text) => Some(Val::Text(text)),
            Self::Int(number) => Some(Val::Int(*number)),
            Self::Bool(truth) => Some(Val::Bool(*truth)),
            Self::List(items) => {
                let items = items.iter().map(|item| item.evaluate(scope));
                items.collect::<Option<_>>().map(Val::List)
            }
            Self::Variable(place) => scope.variables.get(*place).cloned(),
            Self::Field(operand, name) => {
                Val::from_json(operand.object(scope)?.get(name.as_ref())?)
            }
            Self::Has(operand, name) => {
                let fields = operand.object(scope)?;
                Some(Val::Bool(fields.contains_key(name.as_ref())))
            }
            Self::If(parts) => {
                let [condition, then, otherwise] = parts.as_ref();
                if condition.evaluate(scope)?.truth()? {
                    then.evaluate(scope)
                } else {
                    otherwise.evaluate(scope)
                }
            }
            Self::Unary(operator, operand) => operator.apply(&operand.evaluate(scope)?),
            Self::Binary(operator, sides) => operator.apply(sides, scope),
            Self::Matches(operand, pattern) => {
                let text = operand.evaluate(scope)?.text()?;
                Some(Val::Bool(pattern.is_match(text)))
            }
            Self::Fold(fold) => fold.evaluate(scope),
        }
    }

    fn object<'a>(&'a self, scope: &mut Scope<'a>) -> Option<&'a serde_json::Map<String, Value>> {
        match self.evaluate(scope)? {
            Val::Json(Value::Object(fields)) => Some(fields),
            _ => None,
        }
    }
}

impl Unary {
    fn apply<'a>(self, value: &Val<'a>) -> Option<Val<'a>> {
        match self {
            Self::Not => Some(Val::Bool(!value.truth()?)),
            Self::NotFalse => Some(Val::Bool(value.truth()?)),
            Self::Size => value.size().map(Val::Int),
            // The durations of Gateway API mean the same to CEL.
            Self::Duration => duration::parse(value.text()?).ok().map(Val::Duration),
        }
    }
}

impl Binary {
    fn apply<'a>(self, sides: &'a [Term; 2], scope: &mut Scope<'a>) -> Option<Val<'a>> {
        let [left, right] = sides;
        let left = left.evaluate(scope)?;
        match (self, &left) {
            (Self::And, Val::Bool(false)) | (Self::Or, Val::Bool(true)) => return Some(left),
            _ => {}
        }
        let right = right.evaluate(scope)?;
        let order = || left.compare(&right);
        let texts = || Some((left.text()?, right.text()?));
        Some(Val::Bool(match self {
            Self::And | Self::Or => {
                left.truth()?;
                right.truth()?
            }
            Self::Equal => left.equals(&right)?,
            Self::NotEqual => !left.equals(&right)?,
            Self::Less => order()?.is_lt(),
            Self::LessOrEqual => order()?.is_le(),
            Self::Greater => order()?.is_gt(),
            Self::GreaterOrEqual => order()?.is_ge(),
            Self::Contains => texts().map(|(text, part)| text.contains(part))?,
            Self::StartsWith => texts().map(|(text, part)| text.starts_with(part))?,
            Self::EndsWith => texts().map(|(text, part)| text.ends_with(part))?,
            Self::In => {
                let mut items = right.iterate()?.into_iter();
                // An item of another type is left to CEL, which has its own idea of it.
                items.try_fold(false, |found, item| Some(found || item.equals(&left)?))?
            }
            Self::Add => return add(left, right),
            Self::Index => return index(&left, &right),
        }))
    }
}

fn add<'a>(left: Val<'a>, right: Val<'a>) -> Option<Val<'a>> {
    match (left, right) {
        (Val::Int(one), Val::Int(other)) => one.checked_add(other).map(Val::Int),
        (Val::List(mut items), Val::List(others)) => {
            items.extend(others);
            Some(Val::List(items))
        }
        _ => None,
    }
}

fn index<'a>(list: &Val<'a>, index: &Val<'a>) -> Option<Val<'a>> {
    let (Val::Json(Value::Array(items)), Val::Int(index)) = (list, index) else {
        return None;
    };
    Val::from_json(items.get(usize::try_from(*index).ok()?)?)
}

impl Fold {
    fn evaluate<'a>(&'a self, scope: &mut Scope<'a>) -> Option<Val<'a>> {
        let items = self.range.evaluate(scope)?.iterate()?;
        let start = self.start.evaluate(scope)?;
        let outer = scope.variables.len();
        scope.variables.push(start);
        let result = self.run(items, outer, scope);
        scope.variables.truncate(outer);
        result
    }

    /// `place` is that of the accumulator; the item stands behind it.
    fn run<'a>(
        &'a self,
        items: Vec<Val<'a>>,
        place: usize,
        scope: &mut Scope<'a>,
    ) -> Option<Val<'a>> {
        for item in items {
            scope.variables.push(item);
            let goes_on = self.condition.evaluate(scope)?.truth()?;
            let next = if goes_on {
                Some(self.step.evaluate(scope)?)
            } else {
                None
            };
            scope.variables.truncate(place + 1);
            match next {
                Some(next) => scope.variables[place] = next,
                None => break,
            }
        }
        self.result.evaluate(scope)
    }
}
