"""The style sheet of everything that is shown."""

from __future__ import annotations

from .markup import Markup

STALE_AFTER = 6.0
"""Seconds without an update after which a view that should move says that it does not."""

# Colours are mixed with the page's own text colour, so that they fit light and dark themes. The
# class is doubled to take precedence over JupyterLab's own style of tables. The one animation
# watches over a moving view: each update begins it anew, so it ends when the kernel sends no more.
STYLE = Markup(
    """<style>
.pmws{--pmws-up:#16a34a;--pmws-down:#dc2626;--pmws-wait:#d97706;
--pmws-line:rgba(128,128,128,.35);--pmws-dim:rgba(128,128,128,1);
font-family:var(--jp-ui-font-family,var(--vscode-font-family,system-ui,sans-serif));
font-size:13px;line-height:1.45;max-width:100%;width:fit-content;
min-width:min(100%,490px);margin:2px 0 6px;overflow-x:auto}
@supports (color:color-mix(in srgb,red,blue)){.pmws{
--pmws-line:color-mix(in srgb,currentColor 18%,transparent);
--pmws-dim:color-mix(in srgb,currentColor 66%,transparent)}}
.pmws *{box-sizing:border-box}
.pmws .pmws-head,.pmws .pmws-foot,.pmws.pmws-moving .pmws-stopped{
width:0;min-width:100%}
.pmws .pmws-head{display:flex;gap:12px;align-items:baseline;justify-content:space-between;
padding:0 8px 4px}
.pmws .pmws-name{font-weight:600;overflow-wrap:anywhere}
.pmws .pmws-badge{white-space:nowrap;font-size:12px;font-weight:600}
.pmws .pmws-badge::before{content:"";display:inline-block;width:8px;height:8px;margin-right:6px;
border-radius:50%;background:currentColor}
.pmws.pmws .pmws-good{color:var(--pmws-up);color:color-mix(in srgb,var(--pmws-up) 72%,currentColor)}
.pmws.pmws .pmws-bad{color:var(--pmws-down);
color:color-mix(in srgb,var(--pmws-down) 72%,currentColor)}
.pmws.pmws .pmws-wait{color:var(--pmws-wait);
color:color-mix(in srgb,var(--pmws-wait) 72%,currentColor)}
.pmws.pmws .pmws-dim{color:var(--pmws-dim)}
.pmws .pmws-foot{padding:4px 8px 0;font-size:12px;color:var(--pmws-dim)}
.pmws.pmws .pmws-full{width:100%}
.pmws.pmws .pmws-ladder th{min-width:80px}
.pmws.pmws table{border-collapse:collapse;border:0;margin:0;font-size:13px;table-layout:auto;
font-variant-numeric:tabular-nums;color:inherit}
.pmws.pmws tr,.pmws.pmws tbody tr:nth-child(n){background:none;border:0}
.pmws.pmws tbody tr:hover{background:var(--pmws-line)}
.pmws.pmws th,.pmws.pmws td{padding:1px 8px;border:0;text-align:right;vertical-align:top;
white-space:nowrap;max-width:none;color:inherit;font-size:13px;line-height:1.45}
.pmws.pmws th{font-weight:400;font-size:12px;color:var(--pmws-dim)}
.pmws.pmws thead th{border-bottom:1px solid var(--pmws-line)}
.pmws.pmws .pmws-text{text-align:left}
.pmws.pmws .pmws-long{text-align:left;white-space:pre-wrap;overflow-wrap:anywhere;max-width:44rem;
min-width:9rem}
.pmws.pmws .pmws-wraps{white-space:normal;max-width:24rem}
.pmws.pmws .pmws-holds{text-align:left;padding:0}
.pmws .pmws-counts{display:grid;grid-template-columns:repeat(auto-fill,minmax(13rem,1fr));
column-gap:24px;padding:0 8px;max-width:52rem}
.pmws .pmws-counts div{display:flex;justify-content:space-between;gap:8px;
font-variant-numeric:tabular-nums}
.pmws .pmws-title{padding:8px 8px 0;font-size:12px;color:var(--pmws-dim)}
.pmws.pmws .pmws-bar{width:235px;padding:1px 0;background:
linear-gradient(to left,color-mix(in srgb,var(--pmws-side) 60%,transparent) var(--pmws-size),
transparent var(--pmws-size)) no-repeat 0 50%/100% 13px,
linear-gradient(to left,color-mix(in srgb,var(--pmws-side) 20%,transparent) var(--pmws-total),
transparent var(--pmws-total)) no-repeat 0 50%/100% 13px}
.pmws.pmws .pmws-asks{--pmws-side:var(--pmws-down)}
.pmws.pmws .pmws-bids{--pmws-side:var(--pmws-up)}
.pmws.pmws .pmws-middle td{border-top:1px solid var(--pmws-line);
border-bottom:1px solid var(--pmws-line);padding:3px 8px;text-align:center;font-size:12px}
.pmws .pmws-stopped{display:none}
.pmws.pmws-moving .pmws-stopped{display:block;height:0;overflow:hidden;padding:0 8px;
font-weight:600;animation:pmws-stopped 0s linear SECONDSs forwards}
.pmws.pmws-moving .pmws-badge,.pmws.pmws-moving .pmws-good{
animation:pmws-hidden 0s linear SECONDSs forwards}
@keyframes pmws-stopped{to{height:auto;padding:4px 8px 0}}
@keyframes pmws-hidden{to{visibility:hidden}}
</style>""".replace("SECONDS", f"{STALE_AFTER:g}")
)
