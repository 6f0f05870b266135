//! Which generation of an object the configurations of one replica hold. What is done at every change
//! costs what changed, however many objects there are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weft_api::{Kind, ObjectKey, ObjectRef};

/// Generations of an object that are told apart while nobody acknowledges any.
const MARKS_MAX: usize = 64;
/// Changes that are remembered for a reader; one that is further behind compares everything.
const UNREAD_MAX: usize = 4096;

/// From which configuration on it holds which generation of an object.
type Mark = (u64, i64);

/// The objects and their marks, which ascend.
#[derive(Debug, Default)]
pub(super) struct Marks {
    objects: BTreeMap<ObjectRef, VecDeque<Mark>>,
    /// Objects with more than one mark: all there is to prune.
    several: BTreeSet<ObjectRef>,
    /// Objects whose last mark is another one, or that went, since the reader looked.
    unread: BTreeSet<ObjectRef>,
    /// Who looked last; 0 is nobody.
    reader: u64,
}

impl Marks {
    /// The configuration holds this generation of an object.
    pub(super) fn mark(&mut self, object: &ObjectRef, configuration: u64, generation: i64) {
        let marks = match self.objects.get_mut(object) {
            Some(marks) => marks,
            None => self.objects.entry(object.clone()).or_default(),
        };
        if marks.back().is_some_and(|(_, last)| *last == generation) {
            return;
        }
        marks.push_back((configuration, generation));
        if marks.len() > MARKS_MAX {
            marks.pop_front();
        }
        if marks.len() > 1 {
            self.several.insert(object.clone());
        }
        self.is_news(object);
    }

    /// An object is in no configuration any more.
    pub(super) fn forget(&mut self, object: &ObjectRef) {
        if self.objects.remove(object).is_some() {
            self.several.remove(object);
            self.is_news(object);
        }
    }

    /// Forgets objects of a kind.
    pub(super) fn keep(&mut self, kind: Kind, is_there: impl Fn(&ObjectRef) -> bool) {
        let gone = self.of_kind(kind).filter(|it| !is_there(it));
        let gone: Vec<_> = gone.cloned().collect();
        for object in gone {
            self.forget(&object);
        }
    }

    /// Every object of a kind.
    pub(super) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &ObjectRef> {
        let first = ObjectRef::new(kind, ObjectKey::new("", ""));
        let all = self.objects.range(first..).map(|(object, _)| object);
        all.take_while(move |object| object.kind == kind)
    }

    /// Whether the configuration holds an object.
    pub(super) fn holds(&self, object: &ObjectRef) -> bool {
        self.objects.contains_key(object)
    }

    /// The generation of an object in a configuration.
    pub(super) fn generation(&self, object: &ObjectRef, configuration: u64) -> Option<i64> {
        let marks = self.objects.get(object)?.iter().rev();
        let mut until = marks.skip_while(|(since, _)| *since > configuration);
        until.next().map(|(_, generation)| *generation)
    }

    /// The generation of an object in the newest configuration, and since which it is there.
    pub(super) fn last(&self, object: &ObjectRef) -> Option<Mark> {
        self.objects.get(object)?.back().copied()
    }

    /// Every object.
    pub(super) fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        self.objects.keys()
    }

    /// Forgets marks that nobody can be at any more who has taken configuration `least`.
    pub(super) fn prune(&mut self, least: u64) {
        self.several.retain(|object| {
            let Some(marks) = self.objects.get_mut(object) else {
                return false;
            };
            while marks.get(1).is_some_and(|(next, _)| *next <= least) {
                marks.pop_front();
            }
            marks.len() > 1
        });
    }

    /// What changed since the same reader looked; `None` when that is not known. A reader that has not
    /// looked yet is 0.
    pub(super) fn unread(&mut self, reader: &mut u64) -> Option<BTreeSet<ObjectRef>> {
        let unread = std::mem::take(&mut self.unread);
        if self.reader == *reader && *reader != 0 {
            return Some(unread);
        }
        self.reader = self.reader.max(*reader) + 1;
        *reader = self.reader;
        None
    }

    fn is_news(&mut self, object: &ObjectRef) {
        if self.unread.len() < UNREAD_MAX {
            self.unread.insert(object.clone());
        } else if !self.unread.contains(object) {
            // As if somebody else had looked: who looks next compares everything.
            self.unread.clear();
            self.reader += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str) -> ObjectRef {
        ObjectRef::new(Kind::HttpRoute, ObjectKey::new("shop", name))
    }

    fn names(unread: Option<BTreeSet<ObjectRef>>) -> Option<Vec<String>> {
        let name = |object: ObjectRef| object.key.name().to_owned();
        unread.map(|it| it.into_iter().map(name).collect())
    }

    #[test]
    fn a_reader_sees_what_changed_since_it_looked() {
        let (mut marks, mut reader) = (Marks::default(), 0);
        marks.mark(&route("a"), 1, 1);
        assert_eq!(names(marks.unread(&mut reader)), None, "it never looked");
        assert_eq!(names(marks.unread(&mut reader)), Some(vec![]), "no change");
        marks.mark(&route("a"), 2, 1);
        assert_eq!(names(marks.unread(&mut reader)), Some(vec![]), "same again");
        marks.mark(&route("b"), 2, 1);
        marks.mark(&route("a"), 3, 2);
        marks.forget(&route("b"));
        marks.forget(&route("nobody"));
        let changed = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(names(marks.unread(&mut reader)), Some(changed));
    }

    #[test]
    fn a_reader_that_missed_something_compares_everything() {
        let (mut marks, mut first, mut second) = (Marks::default(), 0, 0);
        assert_eq!(names(marks.unread(&mut first)), None);
        marks.mark(&route("a"), 1, 1);
        assert_eq!(names(marks.unread(&mut second)), None, "it never looked");
        assert_eq!(names(marks.unread(&mut first)), None, "another one did");
        for number in 0..=UNREAD_MAX {
            marks.mark(&route(&number.to_string()), 2, 1);
        }
        assert_eq!(names(marks.unread(&mut first)), None, "too many changes");
        assert_eq!(names(marks.unread(&mut first)), Some(vec![]));
    }

    #[test]
    fn marks_are_pruned_where_there_are_several() {
        let mut marks = Marks::default();
        for configuration in 1..=3 {
            let generation = i64::try_from(configuration).unwrap();
            marks.mark(&route("a"), configuration, generation);
        }
        marks.mark(&route("b"), 1, 1);
        marks.prune(2);
        assert_eq!(marks.generation(&route("a"), 1), None, "nobody is there");
        assert_eq!(marks.generation(&route("a"), 2), Some(2));
        assert_eq!(marks.several.len(), 1, "two marks of one object are left");
        marks.prune(3);
        assert_eq!(marks.last(&route("a")), Some((3, 3)));
        assert_eq!(marks.generation(&route("b"), 3), Some(1));
        assert!(marks.several.is_empty(), "nothing is left to prune");
    }

    #[test]
    fn objects_of_one_kind_go_without_the_others() {
        let mut marks = Marks::default();
        let gateway = |name: &str| ObjectRef::new(Kind::Gateway, ObjectKey::new("infra", name));
        for object in [gateway("edge"), gateway("old"), route("a")] {
            marks.mark(&object, 1, 1);
        }
        marks.keep(Kind::Gateway, |object| *object == gateway("edge"));
        let left: Vec<_> = marks.objects().cloned().collect();
        assert_eq!(left.len(), 2);
        assert!(marks.holds(&gateway("edge")) && marks.holds(&route("a")));
    }
}
