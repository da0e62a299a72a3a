import { useState } from "react";

/** The picture of a person, or the first letter of the name where there is none. */
export function FacePicture({
  src,
  name,
  className = "size-16",
}: {
  src: string | null | undefined;
  /** "" where the name stands beside it. */
  name: string;
  className?: string;
}) {
  const [broken, setBroken] = useState<string | null>(null);
  if (src == null || broken === src) {
    return (
      <span
        {...(name === "" ? { "aria-hidden": true } : { role: "img", "aria-label": name })}
        className={`grid shrink-0 place-items-center rounded-card bg-tint text-accent ${className}`}
      >
        <svg viewBox="0 0 24 24" fill="currentColor" aria-hidden="true" className="size-1/2">
          <circle cx="12" cy="8" r="4" />
          <path d="M4 21c0-4.4 3.6-7 8-7s8 2.6 8 7Z" />
        </svg>
      </span>
    );
  }
  return (
    <img
      src={src}
      alt={name}
      draggable={false}
      onError={() => setBroken(src)}
      className={`shrink-0 rounded-card bg-sunken object-cover ${className}`}
    />
  );
}
