//! Two pods of a node, which is all that most tests need.

use weft_tests::netns::{Node, Pod};

/// Two pods, `shop/web` and `shop/cart`, with a service account each.
pub(super) struct Pair {
    pub(super) web: Pod,
    pub(super) cart: Pod,
    pub(super) node: Node,
}

impl Pair {
    /// Pods that have only just been made.
    pub(super) fn new() -> Self {
        let node = Node::new();
        Self {
            web: node.pod("web"),
            cart: node.pod("cart"),
            node,
        }
    }

    /// Pods that run.
    pub(super) fn running() -> Self {
        let pair = Self::new();
        pair.node.runs(100, &pair.web);
        pair.node.runs(101, &pair.cart);
        pair
    }
}
