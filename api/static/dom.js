// Makes nodes. Text of users and of the service reaches the page as text nodes only.

export function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null));
  return node;
}

// Never 0 % or 100 %: only rounding could give these.
export const percent = (p) => `${Math.min(99.9, Math.max(0.1, p * 100)).toFixed(1)}%`;
