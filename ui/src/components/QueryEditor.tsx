// The PromQL editor that Prometheus publishes, with names and values completed from this server. Enter runs the
// query, Shift+Enter breaks the line.

import { autocompletion, closeBrackets, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useComputedColorScheme } from "@mantine/core";
import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { useEffect, useRef } from "react";
import { settings } from "../settings";

const highlight = (dark: boolean) =>
  HighlightStyle.define([
    { tag: tags.number, color: dark ? "#79c0ff" : "#0b5cad" },
    { tag: tags.string, color: dark ? "#ffb77c" : "#a3402b" },
    { tag: tags.keyword, color: dark ? "#7ee0c6" : "#087f5b", fontWeight: "600" },
    { tag: tags.function(tags.variableName), color: dark ? "#7ee0c6" : "#087f5b", fontWeight: "600" },
    { tag: tags.labelName, color: dark ? "#d2a8ff" : "#6f42c1" },
    { tag: tags.operator, fontWeight: "600" },
    { tag: tags.modifier, color: dark ? "#7ee0c6" : "#087f5b" },
    { tag: tags.comment, color: "#868e96", fontStyle: "italic" },
    { tag: tags.invalid, color: "#e03131" },
  ]);

const colours = (dark: boolean) => [
  EditorView.theme(
    {
      ".cm-cursor": { borderLeftColor: dark ? "#fff" : "#000" },
      ".cm-tooltip": {
        backgroundColor: "var(--mantine-color-body)",
        border: "1px solid var(--mantine-color-default-border)",
      },
      ".cm-tooltip-autocomplete > ul > li[aria-selected]": {
        backgroundColor: "var(--mantine-primary-color-filled)",
      },
    },
    { dark },
  ),
  syntaxHighlighting(highlight(dark)),
];

interface Props {
  value: string;
  onChange: (text: string) => void;
  onRun: (text: string) => void;
}

export function QueryEditor({ value, onChange, onRun }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const scheme = useRef(new Compartment());
  const handlers = useRef({ onChange, onRun });
  handlers.current = { onChange, onRun };
  const initial = useRef(value);
  const dark = useComputedColorScheme("light") === "dark";

  useEffect(() => {
    if (host.current === null) return;
    const promql = new PromQLExtension().setComplete({
      remote: { url: settings.prefix, cache: { maxAge: 60_000 }, lookbackInterval: 12 * 3_600_000 },
    });
    const editor = new EditorView({
      parent: host.current,
      state: EditorState.create({
        doc: initial.current,
        extensions: [
          history(),
          closeBrackets(),
          bracketMatching(),
          autocompletion(),
          promql.asExtension(),
          scheme.current.of([]),
          placeholder("Expression (press Shift+Enter for a new line)"),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": "Expression" }),
          keymap.of([...completionKeymap, ...historyKeymap, ...defaultKeymap]),
          // Below the completion list's own Enter, above the default new line.
          Prec.high(
            keymap.of([
              {
                key: "Enter",
                run: (v) => {
                  handlers.current.onRun(v.state.doc.toString());
                  return true;
                },
              },
              { key: "Shift-Enter", run: insertNewlineAndIndent },
            ]),
          ),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) handlers.current.onChange(update.state.doc.toString());
          }),
        ],
      }),
    });
    view.current = editor;
    return () => {
      promql.destroy();
      editor.destroy();
      view.current = null;
    };
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: scheme.current.reconfigure(colours(dark)) });
  }, [dark]);

  useEffect(() => {
    const editor = view.current;
    if (editor !== null && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  return <div className="editor" ref={host} />;
}
