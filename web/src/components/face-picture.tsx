import { useState } from "react";

/**
 * The picture of a person, or a figure where there is none. It shows the middle of the stored picture, which was turned
 * until the face was upright and may be black in its corners.
 */
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
    <span className={`block shrink-0 overflow-hidden rounded-card bg-sunken ${className}`}>
      <img
        src={src}
        alt={name}
        draggable={false}
        onError={() => setBroken(src)}
        className="size-full origin-[50%_60%] scale-140 object-cover"
      />
    </span>
  );
}
