// Light, dark, or as the system says; what was chosen is remembered.

const KEPT = "steadfast-theme";
const ORDER = ["system", "light", "dark"];

/** Makes `button` change the theme. */
export function wire(button) {
  let theme = localStorage.getItem(KEPT) ?? "system";
  const show = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = { system: "Auto", light: "Light", dark: "Dark" }[theme] ?? "Auto";
    button.setAttribute("aria-label", `Theme: ${theme}`);
  };
  button.addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    localStorage.setItem(KEPT, theme);
    show();
  });
  show();
}
