//! The items of the bindings, read as tokens: no formatter and no layout of the text takes part.

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// How the names begin that bindgen gives to anonymous C types.
const ANONYMOUS: &str = "_bindgen_";

/// Bindings as the crate includes them, and the names in them that others ask for.
pub(crate) struct Bindings {
    /// One item, field or attribute a line.
    pub(crate) text: String,
    /// The bound functions, in the order of the text.
    pub(crate) functions: Vec<String>,
    pub(crate) constants: BTreeSet<String>,
}

impl Bindings {
    /// Reads bindings from Rust source text in any layout. The error is a text for the user.
    pub(crate) fn read(source: &str) -> Result<Self, String> {
        let tokens =
            source.parse().map_err(|error| format!("the bindings are not Rust source text: {error}"))?;
        let items = name_anonymous_enums(split(tokens))?;
        let mut bindings = Self { text: String::new(), functions: Vec::new(), constants: BTreeSet::new() };
        for item in &items {
            bindings.collect_names(item);
            print(item, 0, &mut bindings.text);
        }
        Ok(bindings)
    }

    fn collect_names(&mut self, item: &[TokenTree]) {
        match declared(item) {
            Some((keyword, name)) if keyword == "fn" => self.functions.push(name),
            Some((keyword, name)) if keyword == "const" => drop(self.constants.insert(name)),
            // `extern "C" { … }` declares nothing itself.
            None => {
                for group in item.iter().filter_map(braced) {
                    split(group).iter().for_each(|item| self.collect_names(item));
                }
            }
            Some(_) => {}
        }
    }
}

/// Splits source text into items. An item ends with a semicolon, or with braces that none follows.
fn split(tokens: TokenStream) -> Vec<Vec<TokenTree>> {
    let mut items = Vec::new();
    let mut item = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let ends =
            is(&token, ';') || braced(&token).is_some() && !tokens.peek().is_some_and(|next| is(next, ';'));
        item.push(token);
        if ends || tokens.peek().is_none() {
            items.push(std::mem::take(&mut item));
        }
    }
    items
}

/// The keyword and the name of an item: `("fn", "nfct_new")`. None for an `extern` block.
fn declared(item: &[TokenTree]) -> Option<(String, String)> {
    let mut words = item.iter().filter_map(|token| match token {
        TokenTree::Ident(word) => Some(word.to_string()),
        _ => None,
    });
    let keyword = words.find(|word| !["pub", "unsafe", "safe", "extern"].contains(&word.as_str()))?;
    Some((keyword, words.next()?))
}

/// Replaces the names that bindgen gives to anonymous C enums by the integer type they stand for.
///
/// The number in `_bindgen_ty_12` counts every header read before, so the same constant would have
/// another type name on each system. Of `pub type _bindgen_ty_12 = ::core::ffi::c_int;` nothing is
/// left, and `pub const NFCT_CB_STOP: _bindgen_ty_12 = 0;` becomes a `::core::ffi::c_int`.
fn name_anonymous_enums(items: Vec<Vec<TokenTree>>) -> Result<Vec<Vec<TokenTree>>, String> {
    let mut integers = HashMap::new();
    let mut kept = Vec::new();
    for item in items {
        match declared(&item) {
            Some((keyword, name)) if keyword == "type" && name.starts_with(ANONYMOUS) => {
                integers.insert(name, aliased(&item)?);
            }
            _ => kept.push(item),
        }
    }
    for item in &mut kept {
        *item = replace(std::mem::take(item), &integers);
        if let Some(name) = anonymous(item) {
            return Err(format!(
                "{name} stands for an anonymous C type, which cannot be named: {}",
                line(item)
            ));
        }
    }
    Ok(kept)
}

/// What an alias stands for: the tokens between `=` and `;`.
fn aliased(item: &[TokenTree]) -> Result<Vec<TokenTree>, String> {
    let target = item.iter().skip_while(|token| !is(token, '=')).skip(1);
    let target: Vec<_> = target.take_while(|token| !is(token, ';')).cloned().collect();
    let is_path = target.iter().all(|token| is(token, ':') || matches!(token, TokenTree::Ident(_)));
    if target.is_empty() || !is_path {
        return Err(format!("this is not an alias of an integer type: {}", line(item)));
    }
    Ok(target)
}

/// Replaces identifiers at every depth.
fn replace(tokens: Vec<TokenTree>, by: &HashMap<String, Vec<TokenTree>>) -> Vec<TokenTree> {
    let replaced = tokens.into_iter().flat_map(|token| match token {
        TokenTree::Ident(ref name) => by.get(&name.to_string()).cloned().unwrap_or_else(|| vec![token]),
        TokenTree::Group(group) => {
            let inner = replace(group.stream().into_iter().collect(), by);
            vec![proc_macro2::Group::new(group.delimiter(), inner.into_iter().collect()).into()]
        }
        token => vec![token],
    });
    replaced.collect()
}

/// The first name of an anonymous type in `tokens`.
fn anonymous(tokens: &[TokenTree]) -> Option<String> {
    tokens.iter().find_map(|token| match token {
        TokenTree::Ident(name) => Some(name.to_string()).filter(|name| name.starts_with(ANONYMOUS)),
        TokenTree::Group(group) => anonymous(&group.stream().into_iter().collect::<Vec<_>>()),
        _ => None,
    })
}

fn is(token: &TokenTree, punctuation: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == punctuation)
}

fn braced(token: &TokenTree) -> Option<TokenStream> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
        _ => None,
    }
}

/// An item in a message: on one line, and cut where it gets long.
fn line(item: &[TokenTree]) -> String {
    let text: TokenStream = item.iter().cloned().collect();
    text.to_string().chars().take(200).collect()
}

/// Writes an item, with a line for itself, for each of its attributes and for what is in its braces.
fn print(item: &[TokenTree], depth: usize, text: &mut String) {
    let mut starts = true;
    for (at, token) in item.iter().enumerate() {
        let next = item.get(at + 1);
        if starts {
            text.extend(std::iter::repeat_n("    ", depth));
        }
        if let Some(inner) = braced(token) {
            text.push_str("{\n");
            print(&inner.into_iter().collect::<Vec<_>>(), depth + 1, text);
            text.extend(std::iter::repeat_n("    ", depth));
            text.push('}');
            starts = !next.is_some_and(|next| is(next, ';') || is(next, ','));
        } else {
            print_token(token, text);
            starts = at > 0 && is(&item[at - 1], '#') || is(token, ';') || is(token, ',') || next.is_none();
        }
        let before = at.checked_sub(1).map(|at| &item[at]);
        if starts {
            text.push('\n');
        } else if next.is_some_and(|next| is_apart(before, token, next)) {
            text.push(' ');
        }
    }
}

/// Writes one token, with all that is in it on the same line.
fn print_token(token: &TokenTree, text: &mut String) {
    let TokenTree::Group(group) = token else {
        return text.push_str(&token.to_string());
    };
    let (open, close) = match group.delimiter() {
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::Brace => ("{", "}"),
        Delimiter::None => ("", ""),
    };
    text.push_str(open);
    let inner: Vec<_> = group.stream().into_iter().collect();
    for (at, token) in inner.iter().enumerate() {
        print_token(token, text);
        let before = at.checked_sub(1).map(|at| &inner[at]);
        if inner.get(at + 1).is_some_and(|next| is_apart(before, token, next)) {
            text.push(' ');
        }
    }
    text.push_str(close);
}

/// Whether there is a space between two tokens; `before` is the one before them. It is for the eye
/// only, except that a space keeps `: ::core` from being read as `:: :core`.
fn is_apart(before: Option<&TokenTree>, token: &TokenTree, next: &TokenTree) -> bool {
    let joint =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.spacing() == Spacing::Joint);
    let any = |token: &TokenTree, of: &str| of.chars().any(|punctuation| is(token, punctuation));
    let path = is(token, ':') && before.is_some_and(|before| is(before, ':') && joint(before));
    if joint(token) || path || any(token, "#&*!<") {
        return false;
    }
    match (token, next) {
        (TokenTree::Punct(_), next) => !is(token, '>') || !any(next, ";,"),
        (TokenTree::Ident(word), next) if is(next, ':') && joint(next) => word == "mut" || word == "const",
        (_, TokenTree::Group(group)) => group.delimiter() == Delimiter::Brace,
        (_, next) => !any(next, ":;,<>!"),
    }
}
