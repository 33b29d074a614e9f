//! Elements of XML answers.

use roxmltree::{Document, Node};

/// Reads an answer.
pub fn parse(text: &str) -> Result<Document<'_>, String> {
    Document::parse(text).map_err(|error| format!("the answer is no XML: {error}"))
}

/// The first element of this name within.
pub fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

/// All elements of this name within.
pub fn children<'a, 'i, 'n>(
    node: Node<'a, 'i>,
    name: &'n str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i, 'n> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// The elements of a list: those of the name `item` in the first of the name `list`.
pub fn items<'a, 'i, 'n>(
    node: Node<'a, 'i>,
    list: &str,
    item: &'n str,
) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i, 'n> {
    child(node, list).into_iter().flat_map(move |list| children(list, item))
}

/// The text of the first element of this name within, unless it is missing or empty.
pub fn text<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    child(node, name)?.text().map(str::trim).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements() {
        let document =
            parse("<r xmlns='u'><l><i><t> a &amp; b </t></i><x/><i><t/></i></l><t>c</t></r>").unwrap();
        let root = document.root_element();
        let texts: Vec<_> = items(root, "l", "i").map(|item| text(item, "t")).collect();
        assert_eq!(texts, [Some("a & b"), None]);
        assert_eq!((text(root, "t"), items(root, "none", "i").count()), (Some("c"), 0));
    }

    /// No entities that grow; depth costs no stack.
    #[test]
    fn hostile_answers_do_no_harm() {
        let bomb = "<!DOCTYPE r [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;'>]><r>&b;</r>";
        assert!(parse(bomb).is_err());
        assert!(parse(&"<a>".repeat(200_000)).is_err());
        let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
        assert_eq!(text(parse(&deep).unwrap().root_element(), "b"), None);
    }
}
