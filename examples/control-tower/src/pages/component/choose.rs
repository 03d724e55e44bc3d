//! Fields in which one thing of several is chosen, and those for several lines.

use maud::{Markup, html};

/// One of many, as a list that opens.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// Its id, which is its own on the page.
    pub id: &'a str,
    /// What it is called in the form.
    pub name: &'a str,
    /// What it is called by people.
    pub label: &'a str,
    /// What can be chosen: the value, and the words for it.
    pub options: &'a [(String, String)],
    /// What is chosen already; the first one where it is none of them.
    pub value: &'a str,
    /// What belongs into it.
    pub hint: Option<&'a str>,
    /// Why it was not accepted.
    pub error: Option<&'a str>,
}

impl Select<'_> {
    /// As markup.
    pub fn show(&self) -> Markup {
        html! {
            div class="field" {
                label for=(self.id) { (self.label) }
                select id=(self.id) name=(self.name) aria-describedby=[described(self.id, self.hint, self.error)]
                    aria-invalid=[self.error.map(|_| "true")] autofocus[self.error.is_some()] {
                    @for (value, words) in self.options {
                        option value=(value) selected[value == self.value] { (words) }
                    }
                }
                (notes(self.id, self.hint, self.error))
            }
        }
    }
}

/// One of a few, all of which are shown with what they mean.
#[derive(Clone, Copy, Debug)]
pub struct Radios<'a> {
    /// What it is called in the form. With `field-` before it, its id.
    pub name: &'a str,
    /// What is chosen, in words.
    pub label: &'a str,
    /// What can be chosen: the value, the words for it, and what it means.
    pub options: &'a [(&'a str, &'a str, &'a str)],
    /// What is chosen already.
    pub value: &'a str,
    /// Why it was not accepted.
    pub error: Option<&'a str>,
}

impl Radios<'_> {
    /// As markup.
    pub fn show(&self) -> Markup {
        let id = format!("field-{}", self.name);
        html! {
            fieldset class="field" id=(id) aria-describedby=[described(&id, None, self.error)] {
                legend class="label" { (self.label) }
                div class="checks" {
                    @for (value, words, meaning) in self.options {
                        label class="check" {
                            @let checked = *value == self.value;
                            input type="radio" name=(self.name) value=(value) checked[checked]
                                autofocus[checked && self.error.is_some()];
                            span { (words) span class="hint" { (super::prose(meaning)) } }
                        }
                    }
                }
                (notes(&id, None, self.error))
            }
        }
    }
}

/// Several lines to type.
#[derive(Clone, Copy, Debug)]
pub struct Area<'a> {
    /// What it is called in the form. With `field-` before it, its id.
    pub name: &'a str,
    /// What it is called by people.
    pub label: &'a str,
    /// What is in it already.
    pub value: &'a str,
    /// How many lines are seen at once.
    pub lines: u8,
    /// What belongs into it.
    pub hint: Option<&'a str>,
    /// Why it was not accepted.
    pub error: Option<&'a str>,
}

impl Area<'_> {
    /// As markup.
    pub fn show(&self) -> Markup {
        let id = format!("field-{}", self.name);
        html! {
            div class="field" {
                label for=(id) { (self.label) " " span class="optional" { "(optional)" } }
                // A line feed right after the tag is not part of the value (HTML §13.2.6.4.7), so one that is has another before it.
                textarea id=(id) name=(self.name) rows=(self.lines) autocomplete="off" autocapitalize="none" spellcheck="false"
                    aria-describedby=[described(&id, self.hint, self.error)] aria-invalid=[self.error.map(|_| "true")]
                    autofocus[self.error.is_some()] {
                    "\n" (self.value)
                }
                (notes(&id, self.hint, self.error))
            }
        }
    }
}

fn described(id: &str, hint: Option<&str>, error: Option<&str>) -> Option<String> {
    let ids = [error.map(|_| format!("{id}-error")), hint.map(|_| format!("{id}-hint"))];
    let ids: Vec<String> = ids.into_iter().flatten().collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

fn notes(id: &str, hint: Option<&str>, error: Option<&str>) -> Markup {
    html! {
        @if let Some(text) = error { p class="error" id=(format!("{id}-error")) { (super::prose(text)) } }
        @if let Some(text) = hint { p class="hint" id=(format!("{id}-hint")) { (super::prose(text)) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_them_is_no_markup_and_belongs_to_its_field() {
        let bad = "</textarea><script>alert(1)</script>\"";
        let options = [(bad.to_owned(), bad.to_owned()), ("b".to_owned(), "B".to_owned())];
        let select =
            Select { id: "s", name: "n", label: bad, options: &options, value: "b", hint: Some(bad), error: Some(bad) };
        let radios = Radios { name: "n", label: bad, options: &[("a", bad, bad)], value: "a", error: Some(bad) };
        let area = Area { name: "n", label: bad, value: bad, lines: 3, hint: Some(bad), error: Some(bad) };
        for text in [select.show(), radios.show(), area.show()].map(maud::PreEscaped::into_string) {
            assert!(!text.contains("<script") && text.contains("&lt;script&gt;"), "{text}");
            assert!(text.contains("-error\""), "{text}");
            assert_eq!(text.matches(" autofocus").count(), 1, "what was not accepted has the keyboard: {text}");
        }
        let text = select.show().into_string();
        assert!(text.contains(r#"aria-describedby="s-error s-hint" aria-invalid="true""#), "{text}");
        assert!(text.contains(r#"<option value="b" selected>B</option>"#), "{text}");
        assert!(Area { value: "\na", ..area }.show().into_string().contains(">\n\na<"));
    }
}
