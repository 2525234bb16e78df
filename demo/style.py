"""Theme, style sheet and logo. System fonts only: the page loads nothing from other sites."""

import gradio as gr

from demo.markup import html, join

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.teal,
    secondary_hue=gr.themes.colors.violet,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_lg,
    spacing_size=gr.themes.sizes.spacing_md,
    text_size=gr.themes.sizes.text_md,
    font=("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"),
    font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
).set(
    body_background_fill="#f6f8f9",
    body_background_fill_dark="#10171c",
    block_background_fill="#ffffff",
    block_background_fill_dark="#18222a",
    block_border_color="#dfe6ea",
    block_border_color_dark="#2a3842",
    block_shadow="0 1px 2px rgb(16 23 28 / 5%)",
    block_label_background_fill="*block_background_fill",
    block_label_background_fill_dark="*block_background_fill",
    block_label_border_width="0",
    table_even_background_fill="transparent",
    table_even_background_fill_dark="transparent",
    table_odd_background_fill="transparent",
    table_odd_background_fill_dark="transparent",
    input_background_fill_dark="#10171c",
    link_text_color="#0f766e",
    link_text_color_dark="#5eead4",
)

CSS = """
.gradio-container { max-width: none !important; }
.gradio-container main.app, .gradio-container .main { width: 100%; max-width: 1040px !important;
  margin: 0 auto !important; padding: 28px 20px !important; }
:root { --ff-accent: #0f766e; --ff-soft: #d5e8e5; --ff-second: #8fbfb8; --ff-muted: #5b6b75;
  --ff-warn: #fdf0d5; --ff-warn-text: #6b4a06; --ff-other: #a15c07; }
.dark { --ff-accent: #2dd4bf; --ff-soft: #22323a; --ff-second: #3d7f78; --ff-muted: #9fb0ba;
  --ff-warn: #3a2e14; --ff-warn-text: #f6d794; --ff-other: #f0b95e; }

.ff-head { display: flex; gap: 14px; align-items: center; }
.ff-head svg { width: 46px; height: 46px; flex: none; color: var(--ff-accent); }
.ff-head h1 { font-size: 1.6rem; font-weight: 650; letter-spacing: -.01em; margin: 0;
  line-height: 1.15; }
.ff-head p { margin: 3px 0 0; color: var(--ff-muted); }

.ff-result { min-height: 356px; padding: 22px 26px; display: flex; flex-direction: column; }
.html-container { padding: 0 !important; }
.ff-result:has(.ff-empty) { justify-content: center; align-items: center; }
.ff-empty { text-align: center; color: var(--ff-muted); max-width: 300px; }
.ff-empty svg { width: 44px; height: 44px; opacity: .5; margin: 0 auto 10px; display: block; }
.ff-answer { font-size: 1.55rem; font-weight: 650; line-height: 1.2; margin: 0 0 18px;
  letter-spacing: -.01em; overflow-wrap: anywhere; }
.ff-bars { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 3px 12px; margin: 0; }
.ff-bars .name { overflow-wrap: anywhere; }
.ff-bars .share { font-variant-numeric: tabular-nums; text-align: right; color: var(--ff-muted); }
.ff-bars .first { font-weight: 600; color: var(--body-text-color); }
.ff-bars meter { grid-column: 1 / -1; width: 100%; height: 10px; margin-bottom: 12px;
  appearance: none; background: var(--ff-soft); border: 0; border-radius: 5px; overflow: hidden; }
.ff-bars meter::-webkit-meter-inner-element { height: 10px; display: grid; }
.ff-bars meter::-webkit-meter-bar { background: var(--ff-soft); border: 0; border-radius: 5px;
  height: 10px; }
.ff-bars meter::-webkit-meter-optimum-value { background: var(--ff-second); border-radius: 5px;
  height: 10px; }
.ff-bars meter.first::-webkit-meter-optimum-value { background: var(--ff-accent); }
.ff-bars meter::-moz-meter-bar { background: var(--ff-second); border-radius: 5px; }
.ff-bars meter.first::-moz-meter-bar { background: var(--ff-accent); }
.ff-banner { margin: 0 0 14px; padding: 10px 14px; border-radius: 9px; font-size: .95rem;
  background: var(--ff-warn); color: var(--ff-warn-text); }
.ff-sure { margin: -12px 0 16px; color: var(--ff-muted); }
.ff-set { margin: 12px 0 10px; color: var(--ff-muted); font-size: .92rem; }
.ff-set b { color: var(--body-text-color); font-weight: 600; }
.ff-why { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 16px;
  align-items: start;
  margin: 2px 0; }
.ff-fade { display: grid; margin: 0; justify-items: center; }
.ff-fade img { grid-area: 1 / 1; display: block; max-width: 100%; max-height: 400px;
  border-radius: 8px; }
.ff-heat { opacity: var(--ff-fade, 1); }
.ff-fader { display: flex; align-items: center; gap: 10px; margin: 12px 0 4px; font-size: .88rem;
  color: var(--ff-muted); }
.ff-fader input { flex: 1; min-width: 60px; accent-color: var(--ff-accent); }
.ff-similar { list-style: none; margin: 0; padding: 0; }
.ff-similar li { display: grid; grid-template-columns: auto minmax(0, 1fr) 84px; gap: 0 12px;
  align-items: center; padding: 7px 0; margin: 0;
  border-bottom: 1px solid var(--block-border-color); }
.ff-similar img { width: 56px; height: 56px; object-fit: cover; border-radius: 7px;
  grid-row: span 2; }
.ff-similar li:not(:has(img)) { column-gap: 0; }
.ff-similar .name { grid-column: 2; overflow-wrap: anywhere; }
.ff-similar .other .name { color: var(--ff-other); }
.ff-similar meter { grid-column: 3; grid-row: span 2; width: 84px; height: 8px; appearance: none;
  background: var(--ff-soft); border: 0; border-radius: 4px; overflow: hidden; }
.ff-similar meter::-webkit-meter-inner-element { height: 8px; display: grid; }
.ff-similar meter::-webkit-meter-bar { background: var(--ff-soft); border: 0; height: 8px;
  border-radius: 4px; }
.ff-similar meter::-webkit-meter-optimum-value { background: var(--ff-second); }
.ff-similar meter::-moz-meter-bar { background: var(--ff-second); }
.ff-note { margin-top: auto; padding-top: 6px; color: var(--ff-muted); font-size: .88rem; }

.ff-figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr));
  gap: 12px; margin: 4px 0 2px; }
.ff-figure { padding: 14px 16px; border: 1px solid var(--block-border-color);
  border-radius: var(--block-radius); background: var(--block-background-fill); }
.ff-figure b { display: block; font-size: 1.5rem; font-weight: 650; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; }
.ff-figure span { color: var(--ff-muted); font-size: .88rem; }
.ff-text { color: var(--ff-muted); margin: 6px 2px; }

.ff-legend { display: flex; gap: 18px; margin: 8px 2px 0; color: var(--ff-muted);
  font-size: .9rem; }
.ff-legend i { display: inline-block; width: 18px; height: 3px; border-radius: 2px;
  vertical-align: middle; margin-right: 7px; }

table.ff-table { width: 100%; border-collapse: collapse; border: 0; margin: 0; }
.ff-table tbody th { white-space: nowrap; width: 1%; padding-right: 20px; }
.ff-table tr { border: 0; background: none; }
.ff-table th { text-align: left; font-weight: 600; color: var(--ff-muted); font-size: .88rem; }
.ff-table th, .ff-table td { padding: 8px 10px; border: 0;
  border-bottom: 1px solid var(--block-border-color); overflow-wrap: anywhere; }
.ff-table td.number, .ff-table th.number { text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.ff-panel { padding: 16px 18px; border: 1px solid var(--block-border-color);
  border-radius: var(--block-radius); background: var(--block-background-fill); }
.ff-panels { display: grid; grid-template-columns: minmax(0, 1fr); gap: 12px; }
.ff-panel h3 { margin: 0 0 8px; font-size: 1.02rem; font-weight: 620; }

#photograph-and-preview { position: relative; }
#photograph-and-preview:has(#preview img) #photograph img { visibility: hidden; }
#preview { position: absolute; inset: 0 0 42px; height: auto !important; pointer-events: none; }
#preview .image-container, #preview .image-frame, #preview img { height: 100% !important; }
#preview img { object-fit: contain; }

#correct { gap: 12px; padding: 14px 16px; }
.ff-correct { align-items: flex-end; }
.ff-correct .form { border: 0; box-shadow: none; background: none; overflow: visible; }
#right-class { padding: 0; overflow: visible; }
#right-class .wrap { border: 1px solid var(--block-border-color); }
#keep { background: var(--ff-accent); color: var(--block-background-fill); }
.ff-kept p { margin: 0 0 6px; overflow-wrap: anywhere; }
.ff-kept code { display: block; width: fit-content; margin: 4px 0; padding: 5px 9px;
  border-radius: 7px; background: var(--ff-soft); font-size: .88rem; }
.ff-small { margin: 0; color: var(--ff-muted); font-size: .82rem; }

#history-loss .altair, #history-accuracy .altair { padding-top: 30px; }
.vega-embed details, .vega-embed summary { display: none !important; }

.ff-drop { padding: 26px 20px 16px; text-align: center; border: 2px dashed var(--ff-second);
  border-radius: var(--block-radius); background: var(--block-background-fill); }
.ff-drop.over { background: var(--ff-soft); }
.ff-drop-title { margin: 0 0 14px; font-size: 1.05rem; font-weight: 600; }
.ff-drop-buttons { display: flex; flex-wrap: wrap; gap: 10px; justify-content: center; }
.ff-drop button, .ff-pages button, .ff-detail-head button { padding: 8px 16px; border-radius: 9px;
  border: 1px solid var(--ff-accent); color: var(--ff-accent); background: transparent;
  font-weight: 600; cursor: pointer; }
.ff-drop button:hover, .ff-pages button:hover, .ff-detail-head button:hover {
  background: var(--ff-soft); }
.ff-drop button:disabled { opacity: .5; cursor: default; }
.ff-drop button[hidden] { display: none; }
.ff-drop :focus-visible, .ff-many :focus-visible, .ff-pages :focus-visible,
.ff-detail-head :focus-visible { outline: 3px solid var(--ff-accent); outline-offset: 2px; }
#many-status-row { align-items: center; }
.ff-busy p, .ff-ended { margin: 4px 2px; }
.ff-busy progress { display: block; width: 100%; height: 10px; margin: 8px 0; border: 0;
  appearance: none; border-radius: 5px; overflow: hidden; background: var(--ff-soft); }
.ff-busy progress::-webkit-progress-bar { background: var(--ff-soft); }
.ff-busy progress::-webkit-progress-value { background: var(--ff-accent); }
.ff-busy progress::-moz-progress-bar { background: var(--ff-accent); }
#many-zip { display: none !important; }
.ff-many img { display: block; width: 48px; height: 48px; object-fit: cover; border-radius: 7px; }
.ff-many td:first-child, .ff-many th:first-child { width: 58px; padding: 4px 6px 4px 2px; }
.ff-many [data-row] { cursor: pointer; }
.ff-many [data-row]:hover { background: var(--ff-soft); }
.ff-many td button { padding: 4px 0 !important; text-align: left; color: var(--ff-accent);
  background: none !important; border: 0; box-shadow: none !important; font-size: inherit;
  font-weight: 500; overflow-wrap: anywhere; }
.ff-many td button:hover { text-decoration: underline; }
.ff-many .bad td { color: var(--ff-other); }
.ff-mark { display: block; color: var(--ff-other); font-size: .84rem; }
.ff-pages { display: flex; flex-wrap: wrap; gap: 14px; align-items: center;
  justify-content: center; padding: 14px 0; color: var(--ff-muted); }
.ff-detail { scroll-margin-top: 10px; outline: none; }
.ff-detail-head { display: flex; flex-wrap: wrap; gap: 10px; align-items: center;
  justify-content: space-between; margin: 6px 0 12px; }
.ff-detail-head h3 { margin: 0; font-size: 1.1rem; font-weight: 620; overflow-wrap: anywhere; }
.ff-detail-two { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr));
  gap: 16px; margin-bottom: 16px; align-items: start; }
.ff-detail-two > img { width: 100%; max-height: 400px; object-fit: contain; border-radius: 8px; }
.ff-detail-two .ff-result { border: 1px solid var(--block-border-color);
  border-radius: var(--block-radius); background: var(--block-background-fill); }

@media (max-width: 640px) {
  .gradio-container main.app, .gradio-container .main { padding: 14px 12px !important; }
  .tab-container button { padding: 0 7px !important; font-size: .84rem !important; }
  .ff-head h1 { font-size: 1.3rem; }
  .ff-panel { overflow-x: auto; }
  .ff-table th, .ff-table td { overflow-wrap: break-word; padding: 7px 5px; font-size: .86rem; }
  .ff-result { min-height: 0; padding: 16px; }
}
"""

_ARM = """<path d="M24 24V4M24 11l-5-4M24 11l5-4"/>
<path d="M24 21c-4-3-4.5-7 0-10 4.5 3 4 7 0 10Z" fill="currentColor" fill-opacity=".18"
 stroke-width="1.6"/>"""

LOGO = html(
    """<svg viewBox="0 0 48 48" fill="none" stroke="currentColor" stroke-width="2.4"
 stroke-linecap="round" aria-hidden="true"><g id="ff-arm">{arm}</g>{arms}<circle cx="24" cy="24"
 r="2.6" fill="currentColor"/></svg>""",
    arm=html(_ARM),
    arms=join(
        html('<use href="#ff-arm" transform="rotate({angle} 24 24)"/>', angle=angle)
        for angle in range(60, 360, 60)
    ),
)
