//! Inline styles by a strict grammar: known properties, and values of numbers, colours and known words. Whatever
//! else a style says could load something or carry a word, and is left out.

/// Properties that ordinary mail is formatted with.
const PROPERTIES: [&str; 34] = [
    "color",
    "background-color",
    "background",
    "font-weight",
    "font-style",
    "font-size",
    "text-align",
    "text-decoration",
    "text-transform",
    "line-height",
    "vertical-align",
    "white-space",
    "margin",
    "margin-top",
    "margin-right",
    "margin-bottom",
    "margin-left",
    "padding",
    "padding-top",
    "padding-right",
    "padding-bottom",
    "padding-left",
    "border",
    "border-top",
    "border-right",
    "border-bottom",
    "border-left",
    "border-color",
    "border-width",
    "border-style",
    "border-collapse",
    "list-style-type",
    "width",
    "max-width",
];

/// Words that may stand in a value.
const WORDS: &str = " bold bolder normal italic underline line-through left right center justify solid dashed dotted double none collapse \
    auto inherit medium small large smaller larger x-small xx-small x-large xx-large pre pre-wrap nowrap top middle bottom baseline disc \
    circle square decimal uppercase capitalize lowercase thin thick transparent black white red green blue yellow orange purple gray grey \
    silver maroon navy teal olive lime aqua fuchsia pink brown gold windowtext initial ";

/// Within a style: line ends count.
pub(super) const LINES: &str = "white-space:pre";
/// The style that marks an element for removal.
pub(super) const HIDDEN: &str = "display:none";

/// A style with what is known of it; [`HIDDEN`] where it hides the element from its reader; `None` where nothing is left.
pub(super) fn clean(style: &str) -> Option<String> {
    let declared = || {
        style
            .split(';')
            .filter_map(|d| d.split_once(':'))
            .map(|(key, value)| (key.trim().to_ascii_lowercase(), value.trim().to_ascii_lowercase()))
    };
    if declared().any(|(key, value)| hides(&key, &value)) {
        return Some(HIDDEN.to_owned());
    }
    let kept: Vec<String> = declared()
        // Wrappers of tables have no size for their white space; what stands in them is shown.
        .filter(|(key, value)| PROPERTIES.contains(&key.as_str()) && is_plain(value) && !(key == "font-size" && is_zero(value)))
        .map(|(key, value)| format!("{key}:{value}"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(";"))
}

/// Whether a declaration makes an element unseen.
fn hides(key: &str, value: &str) -> bool {
    let value = value.trim_end_matches("!important").trim();
    let is_far = || value.starts_with('-') && value.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u32>().is_ok_and(|n| n >= 500);
    match key {
        "display" => value == "none",
        "visibility" => matches!(value, "hidden" | "collapse"),
        "opacity" | "max-height" | "max-width" => is_zero(value),
        "text-indent" | "left" | "top" | "margin-left" => is_far(),
        _ => false,
    }
}

fn is_zero(value: &str) -> bool {
    value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%').parse::<f32>().is_ok_and(|n| n < 0.02)
}

/// Numbers with units, colours and known words only.
fn is_plain(value: &str) -> bool {
    let value = value.trim_end_matches("!important").trim();
    let is_number = |t: &str| {
        let unit = t.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+'));
        unit.len() < t.len() && t.len() <= 10 && matches!(unit, "" | "px" | "pt" | "em" | "rem" | "ex" | "in" | "cm" | "mm" | "%")
    };
    let is_colour = |t: &str| t.strip_prefix('#').is_some_and(|h| matches!(h.len(), 3 | 6) && h.bytes().all(|b| b.is_ascii_hexdigit()));
    let flat = value.replace("rgba(", " ").replace("rgb(", " ").replace([')', ',', '/'], " ");
    !flat.trim().is_empty()
        && flat.len() <= 120
        && flat.split_whitespace().all(|t| is_number(t) || is_colour(t) || WORDS.contains(&format!(" {t} ")))
}

/// Whether an attribute's value is one colour.
pub(super) fn is_colour(value: &str) -> bool {
    !value.contains(' ') && is_plain(&value.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_stays_and_everything_else_goes() {
        assert_eq!(
            clean("Color: #F00; font-weight:bold; margin: 0 auto 1.5em").as_deref(),
            Some("color:#f00;font-weight:bold;margin:0 auto 1.5em")
        );
        assert_eq!(clean("color: rgb(10, 20, 30); background: url(http://x/)").as_deref(), Some("color:rgb(10, 20, 30)"));
        for nothing in ["font-family: zq7canary", "color: canary", "width: 10px\\", "position:absolute", "behavior:url(x)", ""] {
            assert_eq!(clean(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_hides_is_seen() {
        for hidden in ["display:none", "DISPLAY : none !important", "max-height:0px;overflow:hidden", "text-indent:-9999px", "opacity:0"] {
            assert_eq!(clean(hidden).as_deref(), Some(HIDDEN), "{hidden}");
        }
        for shown in ["font-size:0px;direction:ltr", "mso-hide:all", "font-size:0.8em"] {
            assert_ne!(clean(shown).as_deref(), Some(HIDDEN), "{shown}");
        }
    }
}
